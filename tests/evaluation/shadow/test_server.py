"""The pages of the service: what they answer, and whom they refuse."""

import http.client
import json

import pytest
from tests.evaluation.shadow.made import CONFIG, Place

from ringrift.core.errors import BusyError
from ringrift.evaluation.shadow.server import ShadowServer


@pytest.fixture
def service(tmp_path):
    place = Place(tmp_path)
    place.add(1)
    found = place.service()
    found.tick()
    return found


@pytest.fixture
def server(service):
    with ShadowServer(service, port=0) as server:
        yield server


def ask(server, path, *, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    method = "GET" if body is None else "POST"
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def post(server, body, kind="application/json"):
    return ask(server, "/trigger", body=body, Content_Type=kind)


def test_the_pages_tell_what_the_service_knows(server, service):
    assert ask(server, "/health") == (200, {"ok": True, "state": "waiting"})
    code, status = ask(server, "/status")
    assert code == 200
    assert status["configs"][CONFIG]["rounds"] == 1
    assert set(status["configs"][CONFIG]["due"]) == {"shadow", "full"}
    code, found = ask(server, f"/results?config={CONFIG}&limit=5")
    assert code == 200
    (result,) = found["results"]
    assert result["success"]
    assert result["model_id"] == f"{1:064x}"
    assert result["run"] == service.results()[0].run
    assert ask(server, "/results?config=hex8_2p")[1] == {"results": []}
    (trend,) = ask(server, "/trends")[1]["trends"]
    assert (trend["rounds"], trend["slope"]) == (1, None)


def test_a_round_can_be_asked_for(server, service):
    asked = {"config": CONFIG, "type": "quick"}
    assert post(server, json.dumps(asked)) == (202, {"accepted": asked})
    assert [r.tournament_type for r in service.tick()] == ["quick"]


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ('{"config": "hex8_2p", "type": "quick"}', "application/json", 400),
        ('{"config": "square8_2p", "type": "long"}', "application/json", 400),
        ('{"config": "square8_2p"}', "application/json", 400),
        ("[]", "application/json", 400),
        ("no json", "application/json", 400),
        ('{"config": "square8_2p", "type": "quick"}', "text/plain", 415),
        (" " * 5000, "application/json", 413),
    ],
)
def test_what_is_no_request_is_refused(server, service, body, kind, code):
    found, answer = post(server, body, kind)
    assert found == code
    assert answer["error"]
    assert service.tick() == []


def test_unknown_pages_bad_limits_and_other_names_of_this_machine_are_refused(server):
    assert ask(server, "/nothing")[0] == 404
    assert ask(server, "/trigger")[0] == 405
    assert ask(server, "/status", body="{}", Content_Type="application/json")[0] == 404
    for limit in ("0", "x", "9999"):
        assert ask(server, f"/results?limit={limit}")[0] == 400
    assert ask(server, "/status", Host="evil.example:80")[0] == 403
    assert ask(server, "/status", Host=f"localhost:{server.port}")[0] == 200


def test_a_taken_port_is_busy(server, service):
    with pytest.raises(BusyError, match=str(server.port)):
        ShadowServer(service, port=server.port)
