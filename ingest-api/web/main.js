// Starts the page: its parts, its language, and the heartbeat that keeps it fresh.

import { startCart } from "./cart.js";
import { startCatalogue } from "./catalogue.js";
import { byId, make, setText, sync } from "./dom.js";
import { say } from "./messages.js";
import { startOrders } from "./orders.js";
import { startPulse } from "./pulse.js";
import { areUsersKnown, loadOwn, loadProducts, loadTop, loadUsers, on, shop, tell } from "./shop.js";
import { language, names, setLanguage, t } from "./text.js";
import { startWallet } from "./wallet.js";

/** Stock and best sellers are read with every beat, what is the user's own with every third. */
const BEATS_A_LOOK = 3;

function startTop() {
  const rank = () => make("li", {}, make("span", { class: "what" }), make("span", { class: "money" }));
  const fill = (item, { id, name, units }) => {
    setText(item.querySelector(".what"), names(name ?? t("unnamed", id))[0]);
    setText(item.querySelector(".money"), t("units", units));
  };
  on("top language", () => {
    sync(byId("top"), shop.top, (product) => product.id, rank, fill);
    byId("no-top").hidden = shop.top.length > 0;
  });
}

function startLanguages() {
  const buttons = Array.from(document.querySelectorAll("[data-language]"));
  for (const button of buttons) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.language);
      tell("language");
    });
  }
  on("language", () => {
    document.documentElement.lang = language();
    for (const element of document.querySelectorAll("[data-text]")) {
      setText(element, t(element.dataset.text));
    }
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", t(element.dataset.label));
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language()));
    }
  });
}

async function beat(count) {
  const reads = [loadProducts(), loadTop()];
  if (count === 0 && !areUsersKnown()) reads.push(loadUsers());
  if (count % BEATS_A_LOOK === 0) reads.push(loadOwn());
  await Promise.all(reads);
}

function start() {
  startLanguages();
  startWallet();
  startCatalogue();
  startCart();
  startOrders();
  startTop();

  let counting = 0;
  const trouble = byId("trouble");
  const beatNow = startPulse(beat, {
    onAway(ms) {
      const end = Date.now() + ms;
      const count = () => {
        const seconds = Math.ceil((end - Date.now()) / 1000);
        setText(byId("countdown"), seconds > 0 ? t("retryIn", seconds) : t("retrying"));
      };
      clearInterval(counting);
      counting = setInterval(count, 250);
      count();
      trouble.hidden = false;
    },
    onBack() {
      clearInterval(counting);
      trouble.hidden = true;
      say(t("back"));
    },
  });
  byId("again").addEventListener("click", beatNow);
}

start();
