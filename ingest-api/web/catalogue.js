// The catalogue: one card a product, with live stock.

import { abacus, show } from "./abacus.js";
import { write } from "./api.js";
import { buy } from "./buying.js";
import { byId, during, make, setText, sync } from "./dom.js";
import { attempt, onSilence, say } from "./messages.js";
import { on, setCart, shop } from "./shop.js";
import { names, t, won } from "./text.js";

const RODS = 3;
/** Most units of a line. */
const QUANTITY_MAX = 10_000;
/** How many colours the style knows for cards. */
const COLOURS = 6;

function card(product) {
  const { id } = product;
  const quantity = make("input", {
    id: `quantity-${id}`,
    type: "number", inputmode: "numeric", min: 1, max: QUANTITY_MAX, step: 1, value: 1,
  });
  const buying = make("button", { type: "submit", class: "buy" });
  const adding = make("button", { type: "button", class: "quiet add" });
  const form = make(
    "form", { novalidate: true },
    make("label", { class: "unseen", for: `quantity-${id}` }), quantity, buying, adding,
  );
  const wanted = () => Math.min(Math.max(1, Math.floor(quantity.valueAsNumber || 1)), QUANTITY_MAX);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    during(buying, () => buy(id, wanted()));
  });
  adding.addEventListener("click", () => during(adding, () => addToCart(id, wanted())));
  return make(
    "li", { class: `product colour-${id % COLOURS}`, "data-product": id },
    make("div", { class: "stage" }, abacus(RODS)),
    make("h3", {}, make("span", { class: "name" }), make("small", { class: "other" })),
    make("p", { class: "facts" }, make("span", { class: "price" }), make("span", { class: "stock" })),
    form,
  );
}

function addToCart(productId, quantity) {
  const userId = shop.user;
  return attempt(async () => {
    const answer = await write("POST", "/cart/add", { userId, productId, quantity }, { onSilence });
    if (userId === shop.user) setCart(answer.body);
    say(t("added", names(shop.products.get(productId).name)[0]));
  });
}

function fill(item, { name, price, stock }) {
  const [first, second] = names(name);
  const part = (selector) => item.querySelector(selector);
  setText(part(".name"), first);
  setText(part(".other"), second ?? "");
  part(".other").lang = /[가-힣]/.test(second ?? "") ? "ko" : "";
  setText(part(".price"), won(price));
  setText(part(".stock"), stock > 0 ? t("stock", stock) : t("soldOut"));
  item.classList.toggle("sold-out", stock <= 0);
  item.classList.toggle("scarce", stock > 0 && stock <= 5);
  show(part(".abacus"), stock);
  setText(part("label"), t("quantity", first));
  setText(part(".buy"), t("buy"));
  part(".buy").setAttribute("aria-label", t("buyIt", first));
  setText(part(".add"), t("toCart"));
  part(".add").setAttribute("aria-label", t("addIt", first));
}

export function startCatalogue() {
  on("products language", () => {
    const products = Array.from(shop.products.values());
    sync(byId("products"), products, (product) => product.id, card, fill);
    byId("bare").hidden = !shop.isRead || products.length > 0;
  });
}
