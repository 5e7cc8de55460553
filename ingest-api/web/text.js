// Every text of the page, in both languages, and how numbers and times are written in them.
// The reasons of failed orders are the titles that the API gives for the same codes.

const texts = {
  en: {
    skip: "Go to the catalogue",
    user: "User",
    balance: "Balance",
    amount: "Amount to charge, in won",
    charge: "Charge",
    language: "Language",
    away: "The shop does not answer. What you see may be out of date.",
    retryIn: (seconds) => `Next try in ${seconds} s`,
    retrying: "Trying …",
    again: "Try now",
    back: "The shop is back.",
    catalogue: "Catalogue",
    payment: "Payment",
    payNow: "now",
    payLater: "later, in two steps",
    bare:
      "Nothing is sold here yet. Start with “jupan --demo” for a made-up catalogue, " +
      "or register products: see the API documentation.",
    stock: (units) => `${number(units)} left`,
    soldOut: "Sold out",
    quantity: (name) => `Quantity of ${name}`,
    buy: "Buy",
    buyIt: (name) => `Buy ${name}`,
    toCart: "To cart",
    addIt: (name) => `Add to cart: ${name}`,
    added: (name) => `In your cart: ${name}`,
    cart: "Cart",
    noCart: "Your cart is empty.",
    total: "Total",
    orderCart: "Order the cart",
    remove: "Remove",
    removeIt: (name) => `Remove ${name} from the cart`,
    orders: "Your orders",
    noOrders: "No orders yet.",
    pay: "Pay",
    cancel: "Cancel",
    refundAll: "Refund all",
    refundOne: "Refund 1",
    refundIt: (name) => `Refund one ${name}`,
    refunded: (units) => `${number(units)} refunded`,
    payWithin: (time) => `Pay within ${time}`,
    late: "The time to pay is over",
    history: "History",
    states: {
      PENDING: "Pending",
      PAYABLE: "Payment needed",
      SUCCESS: "Paid",
      FAILED: "Failed",
      REFUNDED: "Refunded",
    },
    reasons: {
      OUT_OF_STOCK: "Out of stock",
      PRODUCT_NOT_FOUND: "No such product",
      INSUFFICIENT_BALANCE: "The balance is too low",
      CANCELLED: "The order was cancelled",
      EXPIRED: "The order has expired",
    },
    charged: (amount) => `Charged: ${amount}`,
    payable: (amount) => `Reserved for you: pay ${amount} to get it.`,
    paid: (amount) => `Paid: ${amount}`,
    failed: (reason) => `The order failed: ${reason}`,
    refundDone: (amount) => `Refunded. Balance: ${amount}`,
    unanswered: "No answer yet; asking again with the same key.",
    lost: "No answer came, so the outcome is not known. It will show here once the shop is back.",
    top: "Top 5 of 3 days",
    noTop: "Nothing was sold in the last 3 days.",
    units: (units) => `${number(units)} sold`,
    unnamed: (id) => `Product ${id}`,
    userName: (id, name) => (name ? `${id} · ${name}` : `${id}`),
    about: "Every purchase is a command in a log; every number here is read from it.",
    more: "More",
    docs: "API documentation",
  },
  ko: {
    skip: "상품 목록으로 이동",
    user: "사용자",
    balance: "잔액",
    amount: "충전할 금액(원)",
    charge: "충전",
    language: "언어",
    away: "서버가 응답하지 않습니다. 화면의 내용이 최신이 아닐 수 있습니다.",
    retryIn: (seconds) => `${seconds}초 후 다시 시도`,
    retrying: "다시 시도하는 중 …",
    again: "지금 다시 시도",
    back: "서버에 다시 연결되었습니다.",
    catalogue: "상품",
    payment: "결제",
    payNow: "바로 결제",
    payLater: "나중에 결제(2단계)",
    bare:
      "아직 판매하는 상품이 없습니다. “jupan --demo”로 시작하면 예제 상품이 준비됩니다. " +
      "직접 등록하려면 API 문서를 보세요.",
    stock: (units) => `${number(units)}개 남음`,
    soldOut: "품절",
    quantity: (name) => `수량: ${name}`,
    buy: "구매",
    buyIt: (name) => `구매: ${name}`,
    toCart: "담기",
    addIt: (name) => `장바구니 담기: ${name}`,
    added: (name) => `장바구니에 담았습니다: ${name}`,
    cart: "장바구니",
    noCart: "장바구니가 비어 있습니다.",
    total: "합계",
    orderCart: "장바구니 주문",
    remove: "삭제",
    removeIt: (name) => `장바구니에서 삭제: ${name}`,
    orders: "내 주문",
    noOrders: "아직 주문이 없습니다.",
    pay: "결제",
    cancel: "취소",
    refundAll: "전체 환불",
    refundOne: "1개 환불",
    refundIt: (name) => `1개 환불: ${name}`,
    refunded: (units) => `${number(units)}개 환불됨`,
    payWithin: (time) => `결제 기한까지 ${time}`,
    late: "결제 기한이 지났습니다",
    history: "이력",
    states: {
      PENDING: "처리 중",
      PAYABLE: "결제 대기",
      SUCCESS: "결제 완료",
      FAILED: "실패",
      REFUNDED: "환불 완료",
    },
    reasons: {
      OUT_OF_STOCK: "재고가 부족합니다",
      PRODUCT_NOT_FOUND: "상품을 찾을 수 없습니다",
      INSUFFICIENT_BALANCE: "잔액이 부족합니다",
      CANCELLED: "취소된 주문입니다",
      EXPIRED: "기한이 지나 종료된 주문입니다",
    },
    charged: (amount) => `충전했습니다: ${amount}`,
    payable: (amount) => `재고를 확보했습니다. ${amount}을 결제해 주세요.`,
    paid: (amount) => `결제했습니다: ${amount}`,
    failed: (reason) => `주문에 실패했습니다: ${reason}`,
    refundDone: (amount) => `환불했습니다. 잔액: ${amount}`,
    unanswered: "아직 응답이 없어 같은 키로 다시 요청합니다.",
    lost: "응답이 없어 결과를 알 수 없습니다. 서버가 돌아오면 여기에 표시됩니다.",
    top: "최근 3일 인기 상품 5",
    noTop: "최근 3일 동안 판매된 상품이 없습니다.",
    units: (units) => `${number(units)}개 판매`,
    unnamed: (id) => `상품 ${id}`,
    userName: (id, name) => (name ? `${id} · ${name}` : `${id}`),
    about: "모든 구매는 로그에 남는 명령이고, 여기의 모든 숫자는 그 로그에서 읽은 것입니다.",
    more: "더 보기",
    docs: "API 문서",
  },
};

const STORED = "jupan-language";

/** The language that was chosen before, or the first of the browser's that the page speaks. */
function preferred() {
  const wishes = [recall(STORED), ...navigator.languages].filter(Boolean);
  const known = wishes.map((wish) => wish.split("-")[0].toLowerCase());
  return known.find((wish) => wish in texts) ?? "en";
}

/** What was remembered under this name; a browser may refuse to remember. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Remembers a choice for the next visit. */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Then it is a choice for this visit only.
  }
}

let chosen = preferred();

export const language = () => chosen;

export function setLanguage(wish) {
  chosen = wish in texts ? wish : "en";
  remember(STORED, chosen);
}

/** A text; with values where it is made of some. */
export function t(name, ...values) {
  const text = texts[chosen][name];
  return typeof text === "function" ? text(...values) : text;
}

export const number = (value) => new Intl.NumberFormat(chosen).format(value);

export const won = (value) =>
  new Intl.NumberFormat(chosen, { style: "currency", currency: "KRW" }).format(value);

export const clock = (time) =>
  new Intl.DateTimeFormat(chosen, { timeStyle: "medium", hourCycle: "h23" }).format(new Date(time));

/** A name may say itself in two languages: "Inkstone · 벼루". */
export const names = (name) => name.split(" · ");

/** Minutes and seconds, for a countdown. */
export function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
