// Orders as they are placed, from a product or from the cart, and what becomes of them.

import { write } from "./api.js";
import { attempt, onSilence, refuse, say } from "./messages.js";
import {
  follow, loadBalance, loadCart, loadProducts, loadTop, putOrder, shop, stateOf, whenOrdersMove,
} from "./shop.js";
import { t, won } from "./text.js";

/** The best sellers come from the sales, a moment after the order. */
const TOP_AFTER_MS = 400;

const payment = () => document.querySelector("input[name=payment]:checked").value;

/** Places an order and follows it; `items` are shown until the shop knows it. */
async function place(body, items) {
  const userId = shop.user;
  const wish = { userId, ...body, payment: payment() };
  const answer = await write("POST", "/order", wish, { isOrder: true, onSilence });
  const { orderId, status } = answer.body;
  const createdAt = new Date().toISOString();
  // The page's heartbeat may have seen it before, and then knows more.
  if (!shop.orders.some((order) => order.orderId === orderId)) {
    putOrder({ orderId, userId, status, items, createdAt, isSent: true, ...sure(answer) });
  }
  follow(orderId, answer.headers.get("location") ?? undefined, (refusal) => {
    refuse(refusal.message);
    attempt(loadCart);
  });
}

/** A repeated write may be answered with the order itself. */
const sure = (answer) => (answer.status === 202 ? {} : { ...answer.body, isSent: false });

export const buy = (productId, quantity) =>
  attempt(() => place({ items: [{ productId, quantity }] }, [{ productId, quantity }]));

export const orderCart = () =>
  attempt(async () => {
    await place({ fromCart: true }, shop.cart.items);
    await loadCart();
  });

/** Says what became of an order, and reads again what that changed. */
function moved(order, before) {
  const state = stateOf(order);
  if (state === "PAYABLE") say(t("payable", won(order.totalPrice)));
  if (state === "SUCCESS") say(t("paid", won(order.totalPrice)));
  if (state === "FAILED" && order.reason === "CANCELLED") say(t("reasons").CANCELLED);
  if (state === "FAILED" && order.reason !== "CANCELLED") {
    refuse(t("failed", t("reasons")[order.reason] ?? order.reason));
  }
  const reads = [loadProducts(), loadBalance()];
  if (before === "PENDING" || state === "FAILED") reads.push(loadCart());
  // The page's heartbeat reads all of it again: what is lost here is late, not wrong.
  Promise.allSettled(reads);
  setTimeout(() => loadTop().catch(() => {}), TOP_AFTER_MS);
}

whenOrdersMove(moved);
