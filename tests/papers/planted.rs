//! Every check of the papers finds the drift that is planted for it: in a paper, or in the code.

use crate::{
    API, Check, ENGLISH, ERD, ERRORS, KOREAN, LAYERS, SEQUENCES, STATES, codes,
    contract::{ASYNCAPI, CONTRACT, asyncapi, contract},
    diagrams, forms, front_doors, layers,
    library::REPOSITORY,
    messages, names, references, routes, rows, states,
};

const REQUIREMENTS: &str = "docs/requirements.md";
const PROBLEM: &str = "ingest-api/src/problem.rs";
const ROUTER: &str = "ingest-api/src/router.rs";
const PAY: &str = "ledger/src/users/pay.rs";

/// File, what is there, what is planted, and what the finding says.
type Drift<'a> = (&'a str, &'a str, &'a str, &'a str);

fn check(check: Check, drifts: &[Drift<'_>]) {
    let before: Vec<String> = check(&REPOSITORY).iter().map(ToString::to_string).collect();
    for (path, from, to, finding) in drifts {
        let found = check(&REPOSITORY.with(path, from, to));
        let new = found.iter().map(ToString::to_string).filter(|line| !before.contains(line));
        let new: Vec<String> = new.collect();
        assert!(
            new.iter().any(|line| line.contains(finding)),
            "{from:?} as {to:?} in {path}: {finding:?} is not in {new:?}"
        );
    }
}

#[test]
fn codes_that_are_told_otherwise_are_found() {
    check(
        codes,
        &[
            (ERRORS, "| `CART_FULL` | 409 |", "| `CART_FULL` | 400 |", "CART_FULL is"),
            (ERRORS, "| Out of stock |", "| Sold out |", "OUT_OF_STOCK is"),
            (ERRORS, "| 장바구니가 비어 있습니다 |", "| 비었습니다 |", "CART_EMPTY is"),
            (ERRORS, "| `CART_EMPTY` |", "| `CART_BARE` |", "\"CART_BARE\" is no code"),
            (ERRORS, "| `CART_EMPTY` |", "| `CART_FULL` |", "CART_EMPTY is missing"),
            (ERRORS, "| `CART_EMPTY` |", "| `CART_FULL` |", "CART_FULL is here twice"),
            (
                ERRORS,
                "| user lane | free | Ask",
                "| user lane | used | Ask",
                "the key of ORDER_NOT_READY",
            ),
            (
                ERRORS,
                "| 지금은 이용할 수 없어 처리되지 않았습니다 | API, log |",
                "| 지금은 이용할 수 없어 처리되지 않았습니다 | API |",
                "UNAVAILABLE comes from",
            ),
            (KOREAN, "| 409 | `CART_FULL` |", "| 410 | `CART_FULL` |", "CART_FULL is"),
            (KOREAN, "| 402 | `INSUFFICIENT_BALANCE` |", "| 402 | `POOR` |", "\"POOR\" is no code"),
            (PROBLEM, "Code::CartFull => (409,", "Code::CartFull => (400,", "CART_FULL is"),
            (PROBLEM, "\"서버 오류가 발생했습니다\"", "\"고장\"", "INTERNAL is"),
            (PAY, "Code::OrderNotReady", "Code::BalanceLimit", "ORDER_NOT_READY comes from"),
        ],
    );
}

#[test]
fn routes_that_are_not_there_or_not_told_are_found() {
    check(
        routes,
        &[
            (
                API,
                "`PATCH /products/{id}`",
                "`PATCH /product/{id}`",
                "PATCH /product/{id} is no route",
            ),
            (API, "| `GET /cart` |", "| the cart |", "GET /cart is missing"),
            (API, "`?days` (1", "`days` (1", "GET /products/top takes the parameters"),
            (KOREAN, "`GET /commands/{id}`", "명령 조회", "GET /commands/{id} is missing"),
            (ENGLISH, "`GET /commands/{id}`", "commands", "GET /commands/{id} is missing"),
            (SEQUENCES, "`POST /cart/add`", "`POST /cart`", "POST /cart is no route"),
            (ROUTER, ".call(\"GET /cart\"", ".call(\"GET /basket\"", "GET /basket is missing"),
            (ROUTER, ".call(\"GET /cart\"", ".call(\"GET /basket\"", "GET /cart is no route"),
            (ROUTER, "&[\"at\"]", "&[\"at\", \"since\"]", "takes the parameters"),
        ],
    );
}

#[test]
fn states_that_are_told_otherwise_are_found() {
    let changes = "schemas/src/changes.rs";
    check(
        states,
        &[
            (STATES, "| `REFUNDED` |", "| `RETURNED` |", "REFUNDED is not explained"),
            (STATES, "SUCCESS --> REFUNDED", "SUCCESS --> RETURNED", "one of them is no status"),
            (STATES, "| `TOTAL_LIMIT` | the user", "| `LIMIT` | the user", "orders fail for"),
            (
                STATES,
                "FAILED `CANCELLED` |",
                "FAILED `CART_FULL` |",
                "no order fails for CART_FULL",
            ),
            (
                STATES,
                "FAILED `CANCELLED` |",
                "FAILED `EXPIRED` |",
                "no transition leads to FAILED CANCELLED",
            ),
            (
                changes,
                "    Refunded,\n",
                "    Refunded,\n    /// New.\n    Shipped,\n",
                "SHIPPED is not drawn",
            ),
            (PAY, "fail(Code::TotalLimit)", "fail(Code::CartFull)", "orders fail for"),
            (
                "ledger/src/products/reserve.rs",
                "Code::OutOfStock",
                "Code::StockLimit",
                "orders fail for",
            ),
        ],
    );
}

#[test]
fn commands_and_messages_that_are_not_told_are_found() {
    check(
        messages,
        &[
            (
                "schemas/src/messages.rs",
                "    Return(Return),\n}\n\n/// [`ToUsers`] as",
                "    Return(Return),\n    Recount(Recount),\n}\n\n/// [`ToUsers`] as",
                "Recount is missing",
            ),
            (
                "schemas/src/commands.rs",
                "    RefundOrder(RefundOrder),",
                "    RefundOrder(RefundOrder),\n    GiftOrder(GiftOrder),",
                "GiftOrder is missing",
            ),
            (
                "schemas/src/changes.rs",
                "    LinesReturned(LinesReturned),",
                "    LinesLost(LinesLost),",
                "LinesLost is missing",
            ),
            (STATES, "| `LinesReturned` |", "| - |", "LinesReturned is missing"),
        ],
    );
    let without = |path: &str, name: &str| {
        let text = REPOSITORY.text(path);
        let places = text.matches(name).count();
        (0..places).fold(REPOSITORY.clone(), |library, _| library.with(path, name, "it"))
    };
    for (path, name) in
        [(SEQUENCES, "RemoveFromCart"), (SEQUENCES, "Refused"), (STATES, "ExpireOrder")]
    {
        let found = messages(&without(path, name));
        assert!(
            found.iter().any(|finding| finding.what == format!("{name} is missing")),
            "{found:?}"
        );
    }
}

#[test]
fn rows_that_are_drawn_otherwise_are_found() {
    let source = "schemas/src/rows.rs";
    check(
        rows,
        &[
            (
                ERD,
                "        Money balance \"the wallet",
                "        Units balance \"the wallet",
                "UserRow has",
            ),
            (ERD, "        u16 user_lane \"who will end it\"\n", "", "HoldRow has"),
            (ERD, "    HistoryLine {", "    HistoryEntry {", "HistoryLine is missing"),
            (ERD, "    HistoryLine {", "    HistoryEntry {", "HistoryEntry is no row"),
            (ERD, "`open_orders`", "`pending`", "`open_orders` is missing"),
            (ERD, "| `Funding` |", "| `Source` |", "`Funding` is missing"),
            (
                source,
                "    pub sold: Units,",
                "    pub sold: Units,\n    pub lost: Units,",
                "ProductRow has",
            ),
            (source, "pub struct Watermark {", "pub struct Mark {", "Mark is missing"),
        ],
    );
}

#[test]
fn references_that_lead_nowhere_are_found() {
    check(
        references,
        &[
            (REQUIREMENTS, "](../tests/it/money.rs)", "](../tests/it/coins.rs)", "leads nowhere"),
            (
                REQUIREMENTS,
                "`a_thousand_parallel_charges_of_one_user`",
                "`a_million_charges`",
                "has no test a_million_charges",
            ),
            (
                "tests/it/money.rs",
                "async fn a_thousand_parallel_charges_of_one_user",
                "async fn charges",
                "has no test a_thousand",
            ),
            (
                "tests/it/money.rs",
                "#[tokio::test(flavor = \"multi_thread\")]\nasync fn a_thousand",
                "async fn a_thousand",
                "has no test a_thousand",
            ),
            (
                "tests/tidy.rs",
                "=> dependencies_point_one_way,",
                "=> arrows_point_one_way,",
                "has no test dependencies_point_one_way",
            ),
            (STATES, "](../tests/it/steps.rs)", "](tests/it/steps.rs)", "leads nowhere"),
            (KOREAN, "](#문서)", "](#문헌)", "has no heading for #문헌"),
            (ENGLISH, "## Measured", "## Figures", "has no heading for #measured"),
        ],
    );
}

#[test]
fn diagrams_that_cannot_be_drawn_are_found() {
    check(
        diagrams,
        &[
            (SEQUENCES, "sequenceDiagram", "sequenceDiagramm", "no kind of diagram"),
            (
                SEQUENCES,
                "    A->>L: append command",
                "    A->>X: append command",
                "\"X\" is no participant",
            ),
            (SEQUENCES, "    A->>L: append command", "    A->L append command", "no message"),
            (SEQUENCES, "    A->>L: append command", "    A->>L: append; command", "no message"),
            (
                SEQUENCES,
                "    else\n        U-->>A: INVALID",
                "    end\n        U-->>A: INVALID",
                "ends nothing",
            ),
            (
                SEQUENCES,
                "        A-->>C: 400, 404 or 409\n    end\n",
                "        A-->>C: 400\n",
                "is never ended",
            ),
            (
                STATES,
                "    payable --> SUCCESS : PayOrder",
                "    payable -> SUCCESS : PayOrder",
                "no state and no transition",
            ),
            (
                STATES,
                "state \"PENDING, payable\" as payable",
                "state \"PENDING, payable as payable",
                "not balanced",
            ),
            (
                ERD,
                "    UserRow ||--o{ OrderRow : \"places\"",
                "    UserRow ||--o OrderRow : \"places\"",
                "no entity and no relation",
            ),
            (
                ERD,
                "    UserRow ||--o{ OrderRow : \"places\"",
                "    UserRow ||--o{ Orders : \"places\"",
                "Orders is no entity",
            ),
            (ERD, "        OrderStatus status\n", "        status\n", "an attribute is"),
            (LAYERS, "    ledger --> schemas", "    ledger --> schema", "no node"),
            (LAYERS, "    ledger --> schemas", "    ledger schemas", "no node, no arrow"),
            (KOREAN, "api -->|append| commands[\"", "api -->|append| commands[", "not balanced"),
        ],
    );
}

#[test]
fn arrows_against_the_manifests_are_found() {
    check(
        layers,
        &[
            (LAYERS, "    ledger --> schemas\n", "", "ledger --> schemas is missing"),
            (
                LAYERS,
                "    ledger --> schemas\n",
                "    ledger --> schemas\n    ledger --> store\n",
                "ledger --> store is none",
            ),
            (
                "analytics/Cargo.toml",
                "jupan-log.workspace = true",
                "jupan-store.workspace = true",
                "analytics --> store is missing",
            ),
        ],
    );
}

#[test]
fn front_doors_that_differ_are_found() {
    check(
        front_doors,
        &[
            (KOREAN, "--lanes N ", "", "--lanes is only in the other one"),
            (ENGLISH, "--lanes N ", "", "--lanes is only in the other one"),
            (KOREAN, "종료 코드: 0 정상, 1", "종료 코드: 0 정상, 4", "the exit codes are"),
            (ENGLISH, "Exit codes: 0 fine, ", "Exit codes: ", "the exit codes are"),
            ("src/main.rs", "COULD_NOT_RUN: u8 = 3", "COULD_NOT_RUN: u8 = 4", "the exit codes are"),
            (KOREAN, "| 10 | 판매", "| 11 | 판매", "verify proves"),
            (ENGLISH, "| 3 | No wallet", "| 7 | No wallet", "verify proves"),
            (
                "src/verify/findings.rs",
                "Self::Stock => Some(2)",
                "Self::Stock => Some(7)",
                "verify proves",
            ),
        ],
    );
}

#[test]
fn names_of_nothing_are_found() {
    check(
        names,
        &[
            (
                STATES,
                "`LaneReserved`, `OrderReserved`",
                "`LaneReserved`, `OrderHeld`",
                "`OrderHeld` is no name",
            ),
            (ERRORS, "`ingest-api/src/problem.rs`", "`ingest-api/src/problems.rs`", "is no file"),
            (LAYERS, "`ledger/store`: each", "`ledger/shop`: each", "is no file"),
            (API, "`jupan --demo`", "`jupan --demos`", "has a flag"),
            (STATES, "`--order-deadline-s`", "`--deadline`", "has a flag"),
            (SEQUENCES, "LinesRefunded\n", "LinesPaidBack\n", "LinesPaidBack, in the diagram"),
            (KOREAN, "`PlaceOrder`", "`MakeOrder`", "`MakeOrder` is no name"),
        ],
    );
}

#[test]
fn papers_out_of_form_are_found() {
    let long = "\n".repeat(250);
    check(
        forms,
        &[
            (ERD, "> **한국어 요약.**", "> **요약.**", "opens with a summary in Korean"),
            (LAYERS, "## Shown by\n", &long, "a paper has"),
            (
                STATES,
                "| RefundOrder | a quantity below 1 |",
                "| RefundOrder | a quantity | below 1 |",
                "4 cells below a header of 3",
            ),
        ],
    );
}

#[test]
fn a_document_for_other_systems_that_says_otherwise_is_found() {
    const SALE: &str = "schemas/avro/sale.avsc";
    check(
        asyncapi,
        &[
            (ASYNCAPI, "    address: sales", "    address: sale", "\"sale\" is no public topic"),
            (ASYNCAPI, "    address: sales", "    address: sale", "sales has no channel"),
            (ASYNCAPI, "version: '2'", "version: '1'", "the version is \"2\""),
            (ASYNCAPI, "x-key: windowTo", "x-key: windowFrom", "the key of top-products is"),
            (ASYNCAPI, "          cleanup.policy: [compact]\n", "", "top-products is made with"),
            (ASYNCAPI, "retention.ms: 3600000", "retention.ms: 1", "command-results is made with"),
            (ASYNCAPI, "        partitions: 1\n", "", "the number of partitions of top-products"),
            (
                ASYNCAPI,
                "      Restock:\n        $ref",
                "      Refill:\n        $ref",
                "the messages of",
            ),
            (ASYNCAPI, "avro/sale.avsc", "avro/order-event.avsc", "the payload of Sale is"),
            (ASYNCAPI, "          cause: {", "          why: {", "the headers of DeadLetter"),
            (ASYNCAPI, "    action: receive", "    action: send", "the action on userCommands"),
            (ASYNCAPI, "    action: receive", "    action: take", "no AsyncAPI at /operations"),
            (ASYNCAPI, "  summary:", "  says:", "no AsyncAPI at /operations"),
            (ASYNCAPI, "messageTraits/traced'}", "messageTraits/told'}", "told leads nowhere"),
            (ASYNCAPI, "        - CART_FULL\n", "", "the code CART_FULL is missing"),
            (ASYNCAPI, "- CART_FULL", "- CART_HEAVY", "the code CART_HEAVY is none"),
            (ASYNCAPI, "- CART_FULL", "- FORBIDDEN", "the code FORBIDDEN is none that lanes"),
            (ASYNCAPI, "          cause: {", "          why: {", "the headers of DeadLetter"),
            (SALE, "\"units\"", "\"pieces\"", "is not what the code writes"),
            (SALE, "\"type\": \"record\"", "\"type\": \"recorded\"", "no AsyncAPI at /components"),
            (PAY, "Code::OrderNotReady", "Code::BalanceLimit", "the code ORDER_NOT_READY is none"),
        ],
    );
}

#[test]
fn a_contract_that_tells_otherwise_is_found() {
    check(
        contract,
        &[
            (CONTRACT, "| `sales` | product id", "| `sale` | product id", "the public topics are"),
            (CONTRACT, "`user-inbox`, ", "", "user-inbox is not named"),
            (
                CONTRACT,
                "| `Restock` | `quantity`",
                "| `Refill` | `quantity`",
                "the command Restock",
            ),
            (
                CONTRACT,
                "| `Restock` | `quantity`",
                "| `Refill` | `quantity`",
                "\"Refill\" is no command",
            ),
            (
                CONTRACT,
                "| `PayOrder` | `orderId`",
                "| `PayOrder` | `order`",
                "PayOrder has the fields",
            ),
            (CONTRACT, "| `offset` | and at", "| `position` | and at", "header: they are"),
            (CONTRACT, "| `reason` |", "| `why` |", "header of a mark: they are"),
            (CONTRACT, "`CART_FULL`, ", "", "the code CART_FULL is missing"),
            (
                CONTRACT,
                "`CART_FULL`",
                "`FORBIDDEN`",
                "the code FORBIDDEN is none that lanes answer",
            ),
        ],
    );
}
