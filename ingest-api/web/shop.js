// What the page knows of the shop, how it gets to know it, and who wants to hear of it.

import { NoAnswer, Refusal, pause, read } from "./api.js";
import { recall, remember } from "./text.js";

/** The demo's users; the page asks for no others. */
const USERS = Array.from({ length: 10 }, (_, at) => at + 1);
const STORED = "jupan-user";
/** Orders on the page; older ones are in the API's list. */
const ORDERS_MAX = 20;
/** Orders followed at once: a browser has six connections to a server, and others want one, too. */
const FOLLOWED_MAX = 2;
/** How long the shop may hold a question about an order back until there is news. */
const NEWS_WAIT_S = 10;
const PAUSE_AFTER_SILENCE_MS = 1_000;

export const shop = {
  user: USERS.includes(Number(recall(STORED))) ? Number(recall(STORED)) : USERS[0],
  /** Names by id; without a name where there is no such user. */
  users: new Map(USERS.map((id) => [id, null])),
  balance: null,
  products: new Map(),
  /** Whether the catalogue was read at least once. */
  isRead: false,
  cart: { items: [], totalPrice: 0 },
  /** Newest first. */
  orders: [],
  top: [],
};

const listeners = [];

/** Calls `run` whenever one of these topics changes; now, too. */
export function on(topics, run) {
  listeners.push({ topics: topics.split(" "), run });
  run();
}

export function tell(topic) {
  for (const { topics, run } of listeners) if (topics.includes(topic)) run();
}

export const productName = (id) => shop.products.get(id)?.name ?? null;

/** What an order's state is called here: a pending one may be waiting for the shop, or for money. */
export function stateOf(order) {
  return order.status === "PENDING" && order.paymentDue ? "PAYABLE" : order.status;
}

// Reading.

/** Reads something of the chosen user. What comes after another one was chosen is dropped. */
async function readOwn(path, use) {
  const user = shop.user;
  const body = await read(path).then((answer) => answer.body, absent);
  if (user === shop.user) use(body);
}

/** What is not there is nothing; whatever else is wrong stays wrong. */
function absent(error) {
  if (error instanceof Refusal && error.status === 404) return null;
  throw error;
}

export const areUsersKnown = () => Array.from(shop.users.values()).every((name) => name !== null);

export async function loadUsers() {
  await Promise.all(
    USERS.map(async (id) => {
      const answer = await read(`/users/${id}`).catch(absent);
      shop.users.set(id, answer?.body.name ?? null);
    }),
  );
  tell("users");
}

export async function loadProducts() {
  const { body } = await read("/products?limit=500");
  shop.products = new Map(body.products.map((product) => [product.id, product]));
  shop.isRead = true;
  tell("products");
}

export async function loadTop() {
  const { body } = await read("/products/top?days=3&limit=5");
  shop.top = body.products;
  tell("top");
}

export const loadBalance = () =>
  readOwn(`/balance?userId=${shop.user}`, (body) => setBalance(body?.balance ?? null));

export function setBalance(balance) {
  shop.balance = balance;
  tell("balance");
}

export const loadCart = () =>
  readOwn(`/cart?userId=${shop.user}`, (body) => setCart(body ?? { items: [], totalPrice: 0 }));

export function setCart(cart) {
  shop.cart = cart;
  tell("cart");
}

export const loadOrders = () =>
  readOwn(`/order?userId=${shop.user}&limit=${ORDERS_MAX}`, (body) => {
    const orders = body?.orders ?? [];
    const known = new Set(orders.map((order) => order.orderId));
    const sent = shop.orders.filter((order) => order.isSent && !known.has(order.orderId));
    changed(orders);
    shop.orders = [...sent, ...orders].slice(0, ORDERS_MAX);
    tell("orders");
    for (const order of shop.orders.filter(isMoving)) follow(order.orderId);
  });

/** Everything that belongs to the chosen user. */
export const loadOwn = () => Promise.all([loadBalance(), loadCart(), loadOrders()]);

export function chooseUser(id) {
  remember(STORED, String(id));
  Object.assign(shop, { user: id, balance: null, orders: [] });
  setCart({ items: [], totalPrice: 0 });
  for (const topic of ["users", "balance", "orders"]) tell(topic);
}

// Orders on their way.

/** Whether the shop is about to change it by itself. */
const isMoving = (order) => stateOf(order) === "PENDING";

/** Hears of every order whose state changed: `(order, stateBefore)`. */
let onMove = () => {};
export const whenOrdersMove = (run) => {
  onMove = run;
};

function changed(orders) {
  for (const order of orders) {
    const before = shop.orders.find((known) => known.orderId === order.orderId);
    if (before && stateOf(before) !== stateOf(order)) onMove(order, stateOf(before));
  }
}

/** Takes over what the shop says about one order. */
export function putOrder(order) {
  if (order.userId !== shop.user) return;
  const at = shop.orders.findIndex((known) => known.orderId === order.orderId);
  changed([order]);
  if (at < 0) {
    shop.orders = [order, ...shop.orders].slice(0, ORDERS_MAX);
  } else {
    // The first answers may know no more than its id: what was sent fills the gaps.
    shop.orders[at] = { ...shop.orders[at], ...order, isSent: !order.items };
  }
  tell("orders");
}

export function dropOrder(orderId) {
  shop.orders = shop.orders.filter((order) => order.orderId !== orderId);
  tell("orders");
}

const followed = new Set();
const waiting = [];

/**
 * Asks about an order until it stands still: each question waits at the shop for news. `location` is
 * where the shop said it will be found; `refused` hears why there never will be such an order.
 */
export async function follow(orderId, location = `/order/${orderId}`, refused = () => {}) {
  if (followed.has(orderId)) return;
  followed.add(orderId);
  if (followed.size > FOLLOWED_MAX) await new Promise((resolve) => waiting.push(resolve));
  try {
    await ask(orderId, location);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    dropOrder(orderId);
    refused(error);
  } finally {
    followed.delete(orderId);
    waiting.shift()?.();
  }
}

async function ask(orderId, location) {
  const user = shop.user;
  let etag;
  while (user === shop.user) {
    try {
      const answer = await read(location, { prefer: `wait=${NEWS_WAIT_S}`, etag });
      etag = answer.headers.get("etag") ?? undefined;
      if (answer.status === 200) {
        putOrder(answer.body);
        if (!isMoving(answer.body)) return;
      }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      await pause(PAUSE_AFTER_SILENCE_MS);
    }
  }
}
