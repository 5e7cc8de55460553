// Making and changing elements. Data only ever becomes text: there is no markup from data.

/**
 * An element. Attributes that are `undefined`, `null` or `false` are left out, `true` stands for an
 * empty one, functions listen to the event of that name.
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(key, value);
    } else if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Sets a text only where it changed, so that nothing is announced or selected anew. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes a list's items those of `values`: items that stay are kept (and with them focus and what was
 * typed), in the values' order. `create(value)` makes an item, `update(item, value)` fills it.
 */
export function sync(list, values, keyOf, create, update) {
  const old = new Map(Array.from(list.children, (item) => [item.dataset.key, item]));
  let next = list.firstElementChild;
  for (const value of values) {
    const key = String(keyOf(value));
    let item = old.get(key);
    old.delete(key);
    if (!item) {
      item = create(value);
      item.dataset.key = key;
    }
    if (item === next) {
      next = next.nextElementSibling;
    } else {
      list.insertBefore(item, next);
    }
    update(item, value);
  }
  for (const item of old.values()) item.remove();
}

/** Fills an item anew; if the focus was on something that is gone, the item gets it. */
export function refill(item, ...children) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  const action = focused?.dataset.action;
  item.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  if (!focused) return;
  const same = action && item.querySelector(`[data-action="${CSS.escape(action)}"]`);
  (same ?? item).focus();
}

/** Runs a button's work, once at a time. It stays focusable meanwhile. */
export async function during(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
  }
}
