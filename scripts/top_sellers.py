#!/usr/bin/env python3
"""Top sellers of an orders file, by brute force: every asked window looks at every line.

Shares no code with the shop, so that the two can be held against each other. The orders file (CSV,
or .gz by name) has the columns ts,user_id,order_ref,product_id,quantity,unit_price, with ts in
RFC 3339.

A window is [windowTo - days * 24 h, windowTo). windowTo is the asked time rounded up to a full
minute; at the end of the file it is the minute after the newest sale, as with `jupan --clock event`.
"""

import argparse
import csv
import gzip
import json
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


def micros_of(text):
    """Microseconds since 1970 of an RFC 3339 time."""
    if text[-1:] in "Zz":
        text = text[:-1] + "+00:00"
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text}: has no time zone")
    return (time - EPOCH) // timedelta(microseconds=1)


def text_of(micros):
    """RFC 3339 in UTC."""
    time = EPOCH + timedelta(microseconds=micros)
    return time.replace(tzinfo=None).isoformat() + "Z"


def read_sales(path):
    """Every line as (micros, product id, quantity, amount)."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as lines:
        sales = []
        for row in csv.DictReader(lines):
            quantity = int(row["quantity"])
            amount = quantity * int(row["unit_price"])
            sales.append((micros_of(row["ts"]), int(row["product_id"]), quantity, amount))
    return sales


def top(sales, window_from, window_to, limit):
    """Best first: more units, then more money, then the lower id."""
    units, amounts = {}, {}
    for at, product, quantity, amount in sales:
        if window_from <= at < window_to:
            units[product] = units.get(product, 0) + quantity
            amounts[product] = amounts.get(product, 0) + amount
    sold = [product for product in units if units[product] > 0]
    sold.sort(key=lambda product: (-units[product], -amounts[product], product))
    return [
        {"rank": rank, "productId": product, "units": units[product], "amount": amounts[product]}
        for rank, product in enumerate(sold[:limit], 1)
    ]


def asked_windows(arguments, sales):
    """Pairs of asOf and windowTo."""
    if arguments.as_of is not None:
        as_of = micros_of(arguments.as_of)
        return [(as_of, -(-as_of // MINUTE) * MINUTE)]
    if not sales:
        return []
    newest = max(sale[0] for sale in sales)
    if arguments.every_midnight:
        oldest = min(sale[0] for sale in sales)
        first = (oldest // DAY + 1) * DAY
        return [(midnight, midnight) for midnight in range(first, newest + 1, DAY)]
    return [(newest, (newest // MINUTE + 1) * MINUTE)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("orders", help="orders file, .csv or .csv.gz")
    parser.add_argument("--days", type=int, default=3, help="length of the window (default 3)")
    parser.add_argument("--limit", type=int, default=5, help="how many ranks (default 5)")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--as-of", metavar="RFC3339", help="one window, as of this time")
    when.add_argument("--every-midnight", action="store_true", help="as of each midnight in UTC")
    when.add_argument("--at-end", action="store_true", help="as of the newest sale (default)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each window")
    arguments = parser.parse_args()

    sales = read_sales(arguments.orders)
    answers = []
    for as_of, window_to in asked_windows(arguments, sales):
        window_from = window_to - arguments.days * DAY
        products = top(sales, window_from, window_to, arguments.limit)
        times = {"asOf": as_of, "windowFrom": window_from, "windowTo": window_to}
        answers.append({name: text_of(at) for name, at in times.items()} | {"products": products})

    for answer in answers:
        if arguments.json:
            print(json.dumps(answer))
            continue
        print(f"{answer['windowFrom']} to {answer['windowTo']} (as of {answer['asOf']})")
        for row in answer["products"]:
            sold = f"{row['units']:>10} units {row['amount']:>16}"
            print(f"{row['rank']:>4}  product {row['productId']:<16} {sold}")


if __name__ == "__main__":
    main()
