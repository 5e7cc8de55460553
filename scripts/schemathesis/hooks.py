"""What no schema can say about this API, and so is no mismatch. Nothing else is excepted.

Good requests are made as good as they can be before they are sent; a failure is dropped only where a
refusal is about what no form can tell.
"""

import atexit
import random
import re
import uuid
from collections import Counter

import requests
import schemathesis

# A key that was used for another request, and forms that are good while their content is not: a
# position lies in the log, a time in what is kept and not in the future, and the limit of a line
# holds for what is in it already (the lane's refusal names no field).
OF_CONTENT = {
    ("IDEMPOTENCY_KEY_REUSED", None),
    ("MALFORMED", "at"),
    ("INVALID_TIME", "asOf"),
    ("INVALID_TIME", "occurredAt"),
    ("INVALID_QUANTITY", None),
}
UUID8 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
# The last cursor that a list has given out, by its path and user.
CURSORS = {}
# The user of every order that an answer has shown.
ORDERS = {}
# What was excepted, by its reason; told at the end.
EXCEPTED = Counter()


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def with_integers(value):
    """JSON Schema takes 2.0 for an integer. Here money and units are written without a point."""
    if isinstance(value, dict):
        return {name: with_integers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [with_integers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def the_list(case):
    return case.operation.path, str((case.query or {}).get("userId"))


def aim_at_an_order(case):
    """An order's id by chance is no order's."""
    if "/order/{id}" not in case.operation.path or not ORDERS:
        return
    order = case.path_parameters["id"]
    if order not in ORDERS:
        order = random.choice(list(ORDERS))
        case.path_parameters["id"] = order
    if isinstance(case.body, dict) and "userId" in case.body:
        case.body["userId"] = ORDERS[order]


@schemathesis.hook
def before_call(context, case, kwargs):
    # A header that was taken over from an answer's integer is text on the wire.
    for name, value in (case.headers or {}).items():
        if isinstance(value, int):
            case.headers[name] = str(value)
    if not is_positive(case):
        return
    # Callers by chance are seldom the user that is named, and short keys soon are old ones: most
    # requests go on without the one, and with a new one of the other.
    if case.meta.phase.name.value != "examples" and random.random() < 0.75:
        (case.headers or {}).pop("X-User-Id", None)
        if "Idempotency-Key" in (case.headers or {}):
            case.headers["Idempotency-Key"] = uuid.uuid4().hex
        aim_at_an_order(case)
    if isinstance(case.body, (dict, list)):
        case.body = with_integers(case.body)
    # A cursor belongs to its list: one by chance is none.
    if "cursor" in (case.query or {}):
        known = CURSORS.get(the_list(case))
        if known is None:
            del case.query["cursor"]
        else:
            case.query["cursor"] = known


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code not in (200, 201):
        return
    if response.headers.get("content-type", [""])[0] != "application/json":
        return
    body = response.json()
    if "next" in body:
        CURSORS[the_list(case)] = body["next"]
    for order in [body, *body.get("orders", [])]:
        if "orderId" in order and "userId" in order:
            ORDERS[order["orderId"]] = order["userId"]


def refused_for_content(case, response):
    """A good form, and a refusal that no form can tell."""
    if response.status_code not in (400, 422):
        return None
    problem = response.json()
    told = problem["code"], problem.get("field")
    # Calls are put into a row by guesses, such as a product's id for an order's.
    is_guess = "/order/{id}" in case.operation.path and not UUID8.fullmatch(
        str(case.path_parameters["id"])
    )
    if told in OF_CONTENT or (is_guess and told == ("INVALID_ID", "id")):
        return f"a good form, refused as {told[0]}" + (f" of {told[1]}" if told[1] else "")
    return None


def refused_later(response):
    """202 says that a command is durable, and no more: who waits for its outcome is refused."""
    if response.status_code != 202:
        return None
    again = response.request.copy()
    again.headers["Prefer"] = "wait=20"
    again.headers["Idempotency-Key"] = response.headers["idempotency-key"][0]
    with requests.Session() as session:
        is_refused = 400 <= session.send(again, timeout=40).status_code < 500
    return "202, and refused when waited for" if is_refused else None


def only_an_unknown_header(case):
    """HTTP lets anybody add headers, and asks servers to take no notice of those they don't know."""
    data = case.meta.phase.data if case.meta else None
    place = getattr(data, "parameter_location", None)
    is_unknown = "unexpected properties" in (getattr(data, "description", None) or "")
    return "an unknown header" if place and place.name == "HEADER" and is_unknown else None


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    reason = None
    if failure.code == "ST202":
        reason = refused_for_content(case, response)
    elif failure.code == "ST201":
        reason = only_an_unknown_header(case) or refused_later(response)
    if reason:
        EXCEPTED[reason] += 1
    return reason is None


@atexit.register
def tell():
    print("\nNo mismatches, and why:")
    for reason, count in EXCEPTED.most_common():
        print(f"  {count:6} {reason}")
