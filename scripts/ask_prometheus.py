#!/usr/bin/env python3
"""Asks a running Prometheus what the dashboard asks it: every target is up, no expression is wrong, and data is there.

usage: ask_prometheus.py URL TARGETS DASHBOARD
"""
import json
import sys
import time
import urllib.parse
import urllib.request

# What only counts what goes wrong, or has not happened yet.
MAY_BE_EMPTY = ("jupan_log_posts_lost", "jupan_store_cql_retries", "jupan_store_cql_failed_reads", "4..|5..")
PATIENCE_S = 60


def ask(url, path, **query):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def expressions(path):
    with open(path, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    return [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel.get("targets", [])]


def faults(url, targets, asked):
    """What is not as it must be; an expression that is wrong is an HTTP error, and raised."""
    found = []
    up = [target for target in ask(url, "targets")["activeTargets"] if target["labels"]["job"] == "jupan"]
    well = [target for target in up if target["health"] == "up"]
    if len(well) != targets:
        found.append(f"{len(well)} of {targets} processes are up")
    for expression in asked:
        is_there = ask(url, "query", query=expression)["result"]
        if not is_there and not any(name in expression for name in MAY_BE_EMPTY):
            found.append(f"no data: {expression}")
    return found


def main():
    url, targets, dashboard = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    asked = expressions(dashboard)
    end = time.monotonic() + PATIENCE_S
    while (found := faults(url, targets, asked)) and time.monotonic() < end:
        time.sleep(2)
    if found:
        sys.exit("\n".join(found))
    print(f"Prometheus: {targets} processes are up, {len(asked)} expressions answered")


main()
