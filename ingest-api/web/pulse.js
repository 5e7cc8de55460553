// The page's heartbeat: asks the shop again and again while somebody looks, and less and less often
// while it does not answer.

import { NoAnswer } from "./api.js";

const INTERVAL_MS = 2_000;
const PAUSE_MS_MAX = 15_000;

/**
 * Calls `beat(n)`, `n` from 0 on, and from 0 on again after every silence. `onAway(ms)` hears of each
 * beat without an answer, and in how many milliseconds the next one comes; `onBack()` of the end of
 * that. Returns a function that beats at once.
 */
export function startPulse(beat, { onAway, onBack }) {
  let count = 0;
  let silences = 0;
  let timer = 0;
  let isBeating = false;

  async function run() {
    if (isBeating || document.hidden) return;
    clearTimeout(timer);
    isBeating = true;
    try {
      await beat(count);
      count += 1;
      if (silences > 0) onBack();
      silences = 0;
    } catch (error) {
      if (!(error instanceof NoAnswer)) console.error(error);
      silences += 1;
      count = 0;
    }
    isBeating = false;
    const pauseMs = Math.min(INTERVAL_MS * 2 ** Math.max(0, silences - 1), PAUSE_MS_MAX);
    if (silences > 0) onAway(pauseMs);
    timer = setTimeout(run, pauseMs);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    // Who comes back wants to see everything as it is now.
    count = 0;
    run();
  });
  run();
  return run;
}
