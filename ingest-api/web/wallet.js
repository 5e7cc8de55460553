// Who shops here, and what is in the wallet.

import { abacus, show } from "./abacus.js";
import { write } from "./api.js";
import { byId, during, make, setText, sync } from "./dom.js";
import { attempt, onSilence, say } from "./messages.js";
import { chooseUser, loadOwn, on, setBalance, shop } from "./shop.js";
import { t, won } from "./text.js";

const RODS = 7;

function charge() {
  const userId = shop.user;
  const amount = byId("amount").valueAsNumber;
  return attempt(async () => {
    // What is no amount goes to the shop as well: it says best what is wrong.
    const wish = { userId, amount: Number.isNaN(amount) ? null : amount };
    const answer = await write("POST", "/balance/charge", wish, { onSilence });
    if (userId === shop.user) setBalance(answer.body.balance);
    say(t("charged", won(amount)));
  });
}

export function startWallet() {
  const select = byId("user");
  const rods = abacus(RODS);
  byId("rods").append(rods);
  select.addEventListener("change", () => {
    chooseUser(Number(select.value));
    loadOwn().catch(() => {
      // The page's heartbeat tells that the shop is away, and reads it again.
    });
  });
  byId("charge").addEventListener("submit", (event) => {
    event.preventDefault();
    during(event.submitter ?? event.target.querySelector("button"), charge);
  });
  on("users language", () => {
    const users = Array.from(shop.users);
    const option = ([id]) => make("option", { value: id });
    const fill = (item, [id, name]) => setText(item, t("userName", id, name));
    sync(select, users, ([id]) => id, option, fill);
    select.value = String(shop.user);
  });
  on("balance language", () => {
    setText(byId("balance"), shop.balance === null ? "–" : won(shop.balance));
    show(rods, shop.balance ?? 0);
  });
}
