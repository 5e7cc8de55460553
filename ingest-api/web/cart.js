// The chosen user's cart, and the order of all that is in it.

import { write } from "./api.js";
import { orderCart } from "./buying.js";
import { byId, during, make, refill, sync } from "./dom.js";
import { attempt, onSilence } from "./messages.js";
import { on, setCart, shop } from "./shop.js";
import { names, number, t, won } from "./text.js";

function remove(productId) {
  const userId = shop.user;
  const path = `/cart/remove?userId=${userId}&productId=${productId}`;
  return attempt(async () => {
    const answer = await write("DELETE", path, undefined, { onSilence });
    if (userId === shop.user) setCart(answer.body);
  });
}

const line = () => make("li", { tabindex: -1 });

function fill(item, { productId, name, price, quantity }) {
  const shown = names(name ?? t("unnamed", productId))[0];
  const button = make(
    "button",
    { type: "button", class: "quiet", "data-action": "remove", "aria-label": t("removeIt", shown) },
    t("remove"),
  );
  button.addEventListener("click", () => during(button, () => remove(productId)));
  const cost = price === undefined ? "–" : won(price * quantity);
  refill(
    item,
    make("span", { class: "what" }, `${number(quantity)} × ${shown}`),
    make("span", { class: "money" }, cost),
    button,
  );
}

export function startCart() {
  const button = byId("order-cart");
  button.addEventListener("click", () => during(button, orderCart));
  on("cart language", () => {
    const { items, totalPrice } = shop.cart;
    sync(byId("cart"), items, (item) => item.productId, line, fill);
    byId("no-cart").hidden = items.length > 0;
    byId("checkout").hidden = items.length === 0;
    byId("cart-total").textContent = won(totalPrice);
  });
}
