"""Metrics: only what the table declares, only what is known, and a server nobody can hang."""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from importlib import resources

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringrift.core.errors import BusyError
from ringrift.core.metrics import MAX_SERIES, MetricError, Metrics, Snapshots, process_metrics
from ringrift.core.metrics_server import MAX_THREADS, Answer, MetricsServer, Pages
from ringrift.core.metrics_table import LABELS, TABLE


def words(text):
    return text.split()


# Names that the documents ask for without the prefix: core.md 9, then loop.md 9.
CORE = words("""games_total plies_total game_seconds selfplay_games_per_hour ingest_seconds
quarantined_total spool_items spool_oldest_seconds jobs job_seconds leader term hub_up
publish_failures_total sync_bytes_total training_samples_per_second loss elo promotions_total
resource_percent limit_state breaker_state alerts_total cloud_usd_per_hour cloud_instances
loop_lag_seconds http_seconds""")
LOOP = words("""games_total games_per_hour new_games training_seconds training_loss reuse_ratio elo
elo_ci_low elo_ci_high promotions_total rejections_total test_llr state job_seconds jobs_running
job_failures_total quarantined_total control_pass_seconds control_lag_seconds
selfplay_inference_share quality_score calibration_ece""")
UNITLESS = {  # the noun says what is counted or measured
    "ringrift_leader", "ringrift_term", "ringrift_hub_up", "ringrift_loss", "ringrift_elo",
    "ringrift_limit_state", "ringrift_breaker_state", "ringrift_cloud_instances",
    "ringrift_loop_training_loss", "ringrift_loop_elo", "ringrift_loop_elo_ci_low",
    "ringrift_loop_elo_ci_high", "ringrift_loop_test_llr", "ringrift_loop_state",
    "ringrift_loop_jobs_running", "ringrift_loop_calibration_ece",
}  # fmt: skip


def labels_of(metric):
    return {label: f"{label}_1" for label in metric.labels}


def fill(metrics):
    """Give every metric of the table one value."""
    for metric in TABLE.values():
        verb = {"counter": metrics.inc, "gauge": metrics.set, "histogram": metrics.observe}
        verb[metric.kind](metric.name, 1.5, **labels_of(metric))
    return metrics


def get(url, *, method="GET"):
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


# The table


def test_every_metric_of_the_documents_is_in_the_table():
    wanted = {f"ringrift_{name}" for name in CORE} | {f"ringrift_loop_{name}" for name in LOOP}
    assert wanted <= TABLE.keys()


@pytest.mark.parametrize("metric", TABLE.values(), ids=lambda metric: metric.name)
def test_names_labels_and_units_follow_the_rules(metric):
    assert re.fullmatch(r"ringrift_[a-z]+(_[a-z]+)*", metric.name)
    assert set(metric.labels) <= LABELS
    assert len(set(metric.labels)) == len(metric.labels)
    assert metric.help.endswith(".")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created", "_info"))
    assert not {"counter", "gauge", "histogram"} & set(metric.name.split("_"))
    if metric.kind != "counter":
        unit = metric.unit or next(iter(UNITLESS & {metric.name}), "missing")
        assert metric.name.endswith(unit)


# The text


def lint(text):
    """What `promtool check metrics` looks for, as one list of complaints."""
    complaints, kinds, helps, seen, current, closed = [], {}, {}, set(), None, set()
    for line in text.splitlines():
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            store = helps if word == "HELP" else kinds
            if name in store:
                complaints.append(f"second {word} of {name}")
            if not rest.strip():
                complaints.append(f"empty {word} of {name}")
            store[name] = rest
            if name != current:
                closed.add(current)
                current = name
            if name in closed:
                complaints.append(f"{name} in two groups")
            continue
        series = line.rsplit(" ", 1)[0]
        name = series.partition("{")[0]
        if series in seen:
            complaints.append(f"duplicate {series}")
        seen.add(series)
        family = re.sub(r"_(bucket|sum|count)$", "", name) if current != name else name
        if family != current:
            complaints.append(f"{name} outside its group")
        if family not in helps or family not in kinds:
            complaints.append(f"{name} without HELP or TYPE")
        if (kinds.get(family) == "counter") != name.endswith("_total"):
            complaints.append(f"{name}: _total is for counters, all and only")
        if kinds.get(family) == "histogram" and name == family:
            complaints.append(f"{name}: a histogram's sample without suffix")
    return complaints


def test_the_text_parses_and_passes_the_rules_of_promtool():
    text = fill(Metrics()).text().decode()
    assert lint(text) == []
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {name.removesuffix("_total") for name in TABLE} == families.keys()
    for metric in TABLE.values():
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        assert family.documentation == metric.help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# HELP a x\n# TYPE a counter\na 1\n", "_total"),
        ("# HELP a x\n# TYPE a gauge\na 1\na 2\n", "duplicate"),
        ("# TYPE a gauge\na 1\n", "without HELP"),
        ("# HELP a x\n# TYPE a gauge\n# HELP b x\n# TYPE b gauge\na 1\n", "outside"),
        ("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", "_total"),
    ],
)
def test_the_linter_finds_what_it_is_for(text, complaint):
    assert any(complaint in found for found in lint(text))


def test_label_values_with_quotes_and_newlines_survive_the_text():
    metrics = Metrics()
    metrics.set("ringrift_breaker_state", 2, kind='a "b"\\c\nd')
    (family,) = text_string_to_metric_families(metrics.text().decode())
    assert family.samples[0].labels == {"kind": 'a "b"\\c\nd'}


# Values


def test_nothing_is_exported_before_it_is_known_and_unknown_takes_it_back():
    metrics = Metrics()
    assert metrics.text() == b""
    assert metrics.snapshot() == {}
    metrics.set("ringrift_elo", 12.5, config="square8_2p")
    metrics.set("ringrift_elo", 3.0, config="hex8_2p")
    metrics.set("ringrift_term", 4)
    assert metrics.value("ringrift_elo", config="square8_2p") == 12.5
    assert metrics.value("ringrift_elo", config="square19_2p") is None
    metrics.set("ringrift_elo", None, config="square8_2p")
    assert metrics.value("ringrift_elo", config="square8_2p") is None
    assert metrics.value("ringrift_elo", config="hex8_2p") == 3.0
    metrics.set("ringrift_elo", None, config="hex8_2p")
    metrics.set("ringrift_term", None)
    metrics.set("ringrift_term", None)
    assert metrics.text() == b""
    metrics.set("ringrift_term", 5)
    assert metrics.snapshot() == {"ringrift_term": 5}


def test_counters_add_and_histograms_count():
    metrics = Metrics()
    metrics.inc("ringrift_loop_games_total", config="c", kind="mcts")
    metrics.inc("ringrift_loop_games_total", 4, config="c", kind="mcts")
    metrics.observe("ringrift_http_seconds", 0.02, route="/metrics")
    metrics.observe("ringrift_http_seconds", 0.03, route="/metrics")
    assert metrics.value("ringrift_loop_games_total", config="c", kind="mcts") == 5
    assert metrics.value("ringrift_http_seconds", route="/metrics") == 2
    assert metrics.snapshot()['ringrift_http_seconds_sum{route="/metrics"}'] == pytest.approx(0.05)


def test_a_status_is_one_hot():
    metrics = Metrics()
    states = ("collecting", "training")
    metrics.set_status("ringrift_loop_state", "collecting", states, config="c")
    metrics.set_status("ringrift_loop_state", "training", states, config="c")
    assert metrics.snapshot() == {
        'ringrift_loop_state{config="c",status="collecting"}': 0,
        'ringrift_loop_state{config="c",status="training"}': 1,
    }


@pytest.mark.parametrize(
    ("verb", "name", "value", "labels", "text"),
    [
        ("set", "ringrift_eloo", 1, {}, "unknown metric 'ringrift_eloo' (ringrift_eloo); try"),
        ("set", "ringrift_elo", 1, {}, "has the labels config; found none"),
        ("set", "ringrift_elo", 1, {"config": "c", "job": "7"}, "found config, job"),
        ("set", "ringrift_elo", None, {"board": "hex8"}, "found board"),
        ("inc", "ringrift_elo", 1, {"config": "c"}, "is a gauge, not a counter"),
        ("set", "ringrift_alerts_total", 1, {"kind": "k", "status": "firing"}, "is a counter"),
        ("observe", "ringrift_term", 1, {}, "is a gauge, not a histogram"),
        ("inc", "ringrift_publish_failures_total", -1, {}, "never falls"),
        ("set", "ringrift_term", math.nan, {}, "expected a finite number"),
        ("observe", "ringrift_ingest_seconds", math.inf, {}, "expected a finite number"),
    ],
)
def test_what_the_table_does_not_declare_is_refused(verb, name, value, labels, text):
    metrics = Metrics()
    with pytest.raises(MetricError) as caught:
        getattr(metrics, verb)(name, value, **labels)
    assert text in str(caught.value)
    assert metrics.text() == b""


def test_ids_in_a_label_cannot_fill_the_memory():
    metrics = Metrics()
    for number in range(MAX_SERIES + 50):
        metrics.inc("ringrift_plies_total", config=f"job-{number}")
    assert len(metrics.snapshot()) == MAX_SERIES
    metrics.inc("ringrift_plies_total", config="job-0")
    assert metrics.value("ringrift_plies_total", config="job-0") == 2


def test_threads_lose_no_count_and_no_scrape_sees_a_first_zero():
    metrics, stop, zeros = Metrics(), threading.Event(), []

    def scrape():
        while not stop.is_set():
            zeros.extend(value for value in metrics.snapshot().values() if value == 0)

    def count(number):
        for step in range(100):
            metrics.inc("ringrift_plies_total", config=f"c{number}-{step}"[:5])
            metrics.inc("ringrift_publish_failures_total")

    reader = threading.Thread(target=scrape)
    writers = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert metrics.value("ringrift_publish_failures_total") == 400
    assert zeros == []


def test_importing_is_light_and_the_process_has_one_set_of_metrics():
    script = (
        "import sys, ringrift.core.metrics, ringrift.core.metrics_server;"
        "print('prometheus_client' in sys.modules or 'psutil' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    assert process_metrics() is process_metrics()


# Snapshots


def test_snapshots_append_one_object_each_interval_and_one_at_the_end(tmp_path):
    metrics = Metrics()
    path = tmp_path / "run" / "metrics.jsonl"
    metrics.set("ringrift_elo", 1.0, config="c")
    with Snapshots(metrics, path, interval_s=0.02):
        time.sleep(0.15)
        metrics.set("ringrift_elo", 2.0, config="c")
    with Snapshots(metrics, path, interval_s=60):
        pass
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) >= 4
    assert all(row["at"].endswith("Z") for row in rows)
    assert rows[0]["values"] == {'ringrift_elo{config="c"}': 1.0}
    assert rows[-2]["values"] == rows[-1]["values"] == {'ringrift_elo{config="c"}': 2.0}


def test_a_killed_run_leaves_whole_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    code = """
    import sys, time
    from pathlib import Path
    from ringrift.core.metrics import Metrics, Snapshots
    metrics = Metrics()
    for number in range(200):
        metrics.inc("ringrift_plies_total", config=f"c{number}")
    with Snapshots(metrics, Path(sys.argv[1]), interval_s=0.001):
        time.sleep(60)
    """
    run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(path)])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 100_000):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    text = path.read_text()
    assert text.endswith("\n")
    assert all(len(json.loads(line)["values"]) == 200 for line in text.splitlines())


# The server


def test_the_server_answers_its_four_pages_and_names_them():
    health = Answer(ok=False, fields={"components": {"bus": {"state": "unhealthy"}}})
    pages = Pages(
        metrics=fill(Metrics()),
        health=lambda: health,
        ready=lambda: Answer(ok=True),
        status=lambda: {"schema": 1, "pid": 7},
    )
    with MetricsServer(pages, port=0) as server:
        code, kind, body = get(f"{server.url}/metrics")
        assert (code, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert lint(body.decode()) == []
        assert body == pages.metrics.text()
        code, kind, body = get(f"{server.url}/health?verbose=1")
        assert (code, kind.partition(";")[0]) == (503, "application/json")
        assert json.loads(body) == {"ok": False, **health.fields}
        assert get(f"{server.url}/ready")[0] == 200
        assert json.loads(get(f"{server.url}/status.json")[2]) == {"schema": 1, "pid": 7}
        code, _, body = get(f"{server.url}/favicon.ico")
        assert code == 404
        assert json.loads(body)["pages"] == ["/metrics", "/health", "/ready", "/status.json"]
        assert get(f"{server.url}/metrics", method="HEAD")[::2] == (200, b"")
        assert get(f"{server.url}/metrics", method="POST")[0] == 501
    with pytest.raises(urllib.error.URLError):
        get(f"{server.url}/metrics")


def test_a_page_that_fails_is_500_and_the_server_goes_on():
    def fail():
        raise ZeroDivisionError("no games")

    with MetricsServer(
        Pages(metrics=Metrics(), health=fail, status=lambda: None), port=0
    ) as server:
        code, _, body = get(f"{server.url}/health")
        assert code == 500
        assert json.loads(body) == {"error": "ZeroDivisionError: no games"}
        assert get(f"{server.url}/status.json")[0] == 503
        assert get(f"{server.url}/metrics")[::2] == (200, b"")


def test_a_taken_port_names_the_process_and_is_free_after_close():
    first = MetricsServer(Pages(metrics=Metrics()), port=0)
    with pytest.raises(BusyError) as caught:
        MetricsServer(Pages(metrics=Metrics()), port=first.port)
    assert caught.value.exit_code == 75
    assert f"port {first.port} is taken by process {os.getpid()}" in str(caught.value)
    get(f"{first.url}/metrics")
    first.close()
    first.close()
    with MetricsServer(Pages(metrics=Metrics()), port=first.port) as second:
        assert second.port == first.port
        assert get(f"{second.url}/ready")[0] == 200


def test_the_server_listens_on_loopback_only():
    with MetricsServer(Pages(metrics=Metrics()), port=0) as server:
        assert server._server.socket.getsockname()[0] == "127.0.0.1"


def threads():
    return sum("process_request" in thread.name for thread in threading.enumerate())


def test_slow_clients_cannot_hang_the_server_or_use_it_up():
    pages = Pages(metrics=fill(Metrics()))
    with MetricsServer(pages, port=0, silence_s=30, deadline_s=0.5) as server:
        slow = [socket.create_connection((server.host, server.port)) for _ in range(60)]
        for client in slow:
            client.send(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        time.sleep(0.2)
        assert threads() <= MAX_THREADS
        dripping = time.monotonic() + 10
        while time.monotonic() < dripping:  # one byte now and then keeps a silence limit away
            for client in slow[:MAX_THREADS]:
                try:
                    client.send(b"x")
                except OSError:
                    continue
            try:
                if get(f"{server.url}/metrics")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.05)
        else:
            pytest.fail("no answer beside slow clients")
        for client in slow:
            client.close()
    assert threads() == 0


def test_a_silent_client_is_dropped():
    with (
        MetricsServer(Pages(metrics=Metrics()), port=0, silence_s=0.2) as server,
        socket.create_connection((server.host, server.port), timeout=5) as silent,
    ):
        assert silent.recv(1) == b""


def test_close_lets_a_running_request_end():
    entered, answers = threading.Event(), []

    def slow():
        entered.set()
        time.sleep(0.3)
        return {"late": True}

    server = MetricsServer(Pages(metrics=Metrics(), status=slow), port=0)
    client = threading.Thread(target=lambda: answers.append(get(f"{server.url}/status.json")))
    client.start()
    entered.wait(5)
    server.close()
    client.join()
    assert json.loads(answers[0][2]) == {"late": True}


SCRAPED = """
import sys
from ringrift.core.metrics import Metrics
from ringrift.core.metrics_server import MetricsServer, Pages
from ringrift.core.metrics_table import TABLE
metrics = Metrics()
for metric in TABLE.values():
    verb = {"counter": metrics.inc, "gauge": metrics.set, "histogram": metrics.observe}
    for number in range(12):
        labels = {label: f"{label}_{number}" for label in metric.labels}
        verb[metric.kind](metric.name, 1.5, **labels)
with MetricsServer(Pages(metrics=metrics), port=0) as server:
    print(server.port, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.timed
@pytest.mark.slow
def test_a_thousand_scrapes_leave_the_memory_within_5_mb():
    import psutil

    served = subprocess.Popen(
        [sys.executable, "-c", SCRAPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        url = f"http://127.0.0.1:{served.stdout.readline().strip()}/metrics"
        process = psutil.Process(served.pid)
        get(url)
        before_bytes, began_s = process.memory_info().rss, time.monotonic()
        for _ in range(1000):
            assert get(url)[0] == 200
        took_s = time.monotonic() - began_s
        grown_bytes = process.memory_info().rss - before_bytes
    finally:
        served.communicate("\n", timeout=10)
    print(f"{took_s:.1f} s, {grown_bytes / 1e6:+.2f} MB")
    assert took_s <= 60
    assert abs(grown_bytes) <= 5_000_000
    assert served.returncode == 0


# The dashboard


def dashboard():
    file = resources.files("ringrift.core") / "dashboards" / "ringrift.json"
    return json.loads(file.read_text(encoding="utf-8"))


def queries():
    board = dashboard()
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    variables = [variable.get("query", "") for variable in board["templating"]["list"]]
    return found, [query for query in variables if isinstance(query, str)]


def declared(name):
    """The metric that a name in a query asks for, histogram suffixes included."""
    if name in TABLE:
        return TABLE[name]
    family = TABLE.get(re.sub(r"_(bucket|sum|count)$", "", name))
    return family if family is not None and family.kind == "histogram" else None


def test_every_name_and_label_in_the_dashboard_is_declared():
    expressions, variables = queries()
    assert len(expressions) >= 20
    for query in [*expressions, *variables]:
        selectors = re.findall(r"(ringrift_\w+)(?:\{([^}]*)\})?", query)
        assert selectors or "prometheus" in query, query
        for name, matchers in selectors:
            metric = declared(name)
            assert metric is not None, f"{name} in {query}"
            bucket = {"le"} if name.endswith("_bucket") else set()
            for label in re.findall(r"(\w+)\s*[=!]", matchers):
                assert label in {*metric.labels, "instance", "job"}, query
            for group in re.findall(r"by \(([^)]*)\)", query):
                labels = {label.strip() for label in group.split(",")}
                assert labels <= {*metric.labels, *bucket, "instance"}, query
        for name in re.findall(r"(?:rate|increase)\((ringrift_\w+)", query):
            assert declared(name).kind != "gauge", query
        for name in re.findall(r"histogram_quantile\([^(]*\([^(]*\((ringrift_\w+)", query):
            assert name.endswith("_bucket"), query


def test_every_metric_of_the_loop_has_a_panel():
    asked = {
        declared(name).name for query in queries()[0] for name in re.findall(r"ringrift_\w+", query)
    }
    assert {f"ringrift_loop_{name}" for name in LOOP} <= asked
    assert {f"ringrift_{name}" for name in CORE} <= asked


def test_the_panels_of_the_dashboard_do_not_overlap_and_name_their_units():
    taken, ids = set(), set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["id"] not in ids
        ids.add(panel["id"])
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["description"]
            refs = [target["refId"] for target in panel["targets"]]
            assert len(refs) == len(set(refs))
