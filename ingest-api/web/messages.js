// What the page says: news politely, refusals at once. Both go by themselves.

import { NoAnswer, Refusal } from "./api.js";
import { byId, make } from "./dom.js";
import { t } from "./text.js";

const NEWS_MS = 6_000;
const REFUSAL_MS = 10_000;
const MESSAGES_MAX = 3;

function add(region, kind, text, ms) {
  const message = make("p", { class: kind }, text);
  region.append(message);
  while (region.children.length > MESSAGES_MAX) region.firstElementChild.remove();
  setTimeout(() => message.remove(), ms);
}

export const say = (text) => add(byId("news"), "news", text, NEWS_MS);

export const refuse = (text) => add(byId("refusals"), "refusal", text, REFUSAL_MS);

/** Does what somebody clicked for, and says why where it cannot be done. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refusal) {
      refuse(error.message);
    } else if (error instanceof NoAnswer) {
      refuse(t("lost"));
    } else {
      throw error;
    }
  }
}

/** For writes that are sent again: once is enough. */
export const onSilence = (tries) => {
  if (tries === 1) say(t("unanswered"));
};
