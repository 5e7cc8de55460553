// The chosen user's orders: their state as it moves, and what can be done about each.

import { read, write } from "./api.js";
import { byId, during, make, refill, setText, sync } from "./dom.js";
import { attempt, onSilence, say } from "./messages.js";
import { loadBalance, loadProducts, on, productName, putOrder, shop, stateOf } from "./shop.js";
import { clock, language, names, number, span, t, won } from "./text.js";

const SECOND_MS = 1_000;

const nameOf = (productId) => names(productName(productId) ?? t("unnamed", productId))[0];

/** Sends a wish about an order and shows the order as the shop then has it. */
function change(orderId, wish, more = {}, done = () => {}) {
  const body = { userId: shop.user, ...more };
  return attempt(async () => {
    const answer = await write("POST", `/order/${orderId}/${wish}`, body, { onSilence });
    putOrder(answer.body);
    await done();
  });
}

const pay = (orderId) => change(orderId, "payment");
const cancel = (orderId) => change(orderId, "cancel");
const refund = (orderId, items) =>
  change(orderId, "refund", items ? { items } : {}, async () => {
    await Promise.all([loadBalance(), loadProducts()]);
    say(t("refundDone", won(shop.balance)));
  });

function action(name, text, label, run) {
  const attributes = { type: "button", "data-action": name, "aria-label": label, class: "quiet" };
  const button = make("button", attributes, text);
  button.addEventListener("click", () => during(button, run));
  return button;
}

const kept = (item) => item.quantity - (item.refundedQuantity ?? 0);

function line(order, item) {
  const name = nameOf(item.productId);
  const back = item.refundedQuantity ?? 0;
  const one = [{ productId: item.productId, quantity: 1 }];
  const canRefund = order.status === "SUCCESS" && kept(item) > 0;
  return make(
    "li", {},
    make("span", { class: "what" }, `${number(item.quantity)} × ${name}`),
    back > 0 ? make("span", { class: "back" }, t("refunded", back)) : null,
    canRefund
      ? action(`refund-${item.productId}`, t("refundOne"), t("refundIt", name), () =>
          refund(order.orderId, one))
      : null,
  );
}

function actions(order) {
  const { orderId } = order;
  const buttons = [];
  if (stateOf(order) === "PAYABLE") {
    const button = action("pay", t("pay"), null, () => pay(orderId));
    button.className = "";
    buttons.push(button);
  }
  if (order.status === "PENDING" && !order.isSent) {
    buttons.push(action("cancel", t("cancel"), null, () => cancel(orderId)));
  }
  if (order.status === "SUCCESS") {
    buttons.push(action("refund", t("refundAll"), null, () => refund(orderId)));
  }
  return buttons.length > 0 ? make("div", { class: "actions" }, ...buttons) : null;
}

/** The order's history, read when it is opened and with every change while it is open. */
function history(item, order) {
  const list = make("ol");
  const load = () =>
    attempt(async () => {
      const { body } = await read(`/order/${order.orderId}/history`);
      const step = ({ status, reason, at }) =>
        make("li", {}, make("code", {}, reason ? `${status} ${reason}` : status), ` ${clock(at)}`);
      list.replaceChildren(...body.history.map(step));
    });
  const isOpen = item.querySelector("details")?.open ?? false;
  const summary = make("summary", { "data-action": "history" }, t("history"));
  const details = make("details", { open: isOpen }, summary, list);
  details.addEventListener("toggle", () => details.open && load());
  return details;
}

function fill(item, order) {
  const state = stateOf(order);
  item.dataset.status = order.status;
  item.dataset.state = state;
  // Filled anew only when there is something new: who is about to click keeps what is under the hand.
  const shown = (order.items ?? []).map(({ productId }) => nameOf(productId));
  const content = JSON.stringify([order, shown, language()]);
  if (item.content === content) return;
  item.content = content;
  const reason = order.reason ? t("reasons")[order.reason] ?? order.reason : null;
  refill(
    item,
    make(
      "p", { class: "state" },
      make("span", { class: "pill" }, t("states")[state] ?? state),
      make("time", { datetime: order.createdAt }, clock(order.createdAt)),
      make("span", { class: "money" }, order.totalPrice ? won(order.totalPrice) : ""),
    ),
    reason ? make("p", { class: "reason" }, reason) : null,
    make("ul", { class: "lines" }, ...(order.items ?? []).map((each) => line(order, each))),
    state === "PAYABLE" ? make("p", { class: "due", "data-due": order.paymentDue }) : null,
    actions(order),
    order.isSent ? null : history(item, order),
  );
  tick();
}

/** Counts down to the time by which orders must be paid. */
function tick() {
  for (const element of document.querySelectorAll("[data-due]")) {
    const ms = Date.parse(element.dataset.due) - Date.now();
    setText(element, ms > 0 ? t("payWithin", span(ms)) : t("late"));
  }
}

export function startOrders() {
  const card = () => make("li", { class: "order", tabindex: -1 });
  on("orders language products", () => {
    sync(byId("orders"), shop.orders, (order) => order.orderId, card, fill);
    byId("no-orders").hidden = shop.orders.length > 0;
  });
  setInterval(() => !document.hidden && tick(), SECOND_MS);
}
