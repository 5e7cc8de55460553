// The shop's HTTP API. Every write has an idempotency key, made once a call, so that a write whose
// answer is lost is sent again and is still done once.

import { language } from "./text.js";

/** Longest time for an answer; longer than any wait that is asked for here. */
const ANSWER_MS_MAX = 20_000;
/** How often a write is sent before its asker is told that nobody knows. */
const TRIES_MAX = 8;
const PAUSE_MS_FIRST = 300;
const PAUSE_MS_MAX = 5_000;

/** The shop said no, and why: `title` is for people, in the page's language. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.title ?? String(status));
    this.name = "Refusal";
    this.status = status;
    this.code = problem?.code;
  }
}

/** No answer that counts: the network, or a server that cannot say. */
export class NoAnswer extends Error {
  constructor(path, cause) {
    super(path, { cause });
    this.name = "NoAnswer";
  }
}

/** Sends once; throws `NoAnswer` where nothing came back. */
async function exchange(method, path, { headers = {}, body, signal } = {}) {
  const patience = AbortSignal.timeout(ANSWER_MS_MAX);
  const content = body === undefined ? {} : { "Content-Type": "application/json" };
  try {
    const response = await fetch(path, {
      method,
      headers: { Accept: "application/json", "Accept-Language": language(), ...content, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
      cache: "no-store",
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parsed(text) };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new NoAnswer(path, cause);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Nothing was decided, or nobody knows: the same request may be sent again. */
function isUndecided({ status, body }) {
  return status === 408 || status === 429 || status >= 500 || body?.code === "ORDER_NOT_READY";
}

/** Reads; 304 has no body. Throws `Refusal` and `NoAnswer`. */
export async function read(path, { prefer, etag, signal } = {}) {
  const headers = {};
  if (prefer) headers.Prefer = prefer;
  if (etag) headers["If-None-Match"] = etag;
  const answer = await exchange("GET", path, { headers, signal });
  if (isUndecided(answer)) throw new NoAnswer(path);
  if (answer.status >= 400) throw new Refusal(answer.status, answer.body);
  return answer;
}

/**
 * Writes, as often as it takes: the key stays the same, so it is done once. A 202 of an order is an
 * answer; any other is asked again until the outcome is known. `onSilence` is told of every try that
 * got no answer. Throws `Refusal` and, in the end, `NoAnswer`.
 */
export async function write(method, path, body, { isOrder = false, onSilence = () => {} } = {}) {
  const prefer = isOrder ? "respond-async" : "wait=10";
  const headers = { "Idempotency-Key": `"${newKey()}"`, Prefer: prefer };
  let pauseMs = PAUSE_MS_FIRST;
  for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
    const answer = await exchange(method, path, { headers, body }).catch(nothing);
    const isPending = answer?.status === 202 && !isOrder;
    if (answer && !isPending && !isUndecided(answer)) {
      if (answer.status >= 400) throw new Refusal(answer.status, answer.body);
      return answer;
    }
    onSilence(tries);
    const askedMs = 1000 * Number(answer?.headers.get("retry-after") ?? 0);
    await pause(Math.min(Math.max(pauseMs, askedMs || 0), PAUSE_MS_MAX));
    pauseMs *= 2;
  }
  throw new NoAnswer(path);
}

function nothing(error) {
  if (error instanceof NoAnswer) return null;
  throw error;
}

/** 128 random bits. `crypto.randomUUID` is not there on plain HTTP behind a gateway. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
