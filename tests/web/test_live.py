"""Server-sent events: news for the viewers of a clinic, and for nobody else."""

import datetime as dt
import re
import threading

import pytest
from flask import Flask

from sc_stim import clock
from sc_stim.extensions import db
from sc_stim.models import Alert
from sc_stim.web import live
from sc_stim.web.live import Watch


@pytest.fixture
def watch(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(live, "ALIVE_EVERY_S", 5.0)
    return Watch(app)


def test_a_viewer_hears_of_a_change_in_the_clinic_and_nobody_elsewhere(watch, scene):
    ours, theirs = scene.nurse.clinic_id, scene.nurse.clinic_id + 1_000
    heard, looking = [], threading.Barrier(3)

    def look(clinic_id: int) -> None:
        seen = watch.wait(clinic_id, None, 5)
        looking.wait(10)
        heard.append((clinic_id, watch.wait(clinic_id, seen, 5 if clinic_id == ours else 0.5) != seen))

    viewers = [threading.Thread(target=look, args=(clinic_id,)) for clinic_id in (ours, theirs)]
    assert watch.join(ours) and watch.join(theirs)
    for viewer in viewers:
        viewer.start()
    looking.wait(10)
    alert = db.session.get_one(Alert, scene.alert.id)
    alert.changed_at = clock.now() + dt.timedelta(days=1)
    db.session.commit()
    for viewer in viewers:
        viewer.join(10)
    assert sorted(heard) == [(ours, True), (theirs, False)]
    watch.leave(ours)
    watch.leave(theirs)


def test_the_looking_ends_with_the_last_viewer(watch, scene):
    before = set(threading.enumerate())
    assert watch.join(scene.nurse.clinic_id)
    (looker,) = set(threading.enumerate()) - before
    watch.leave(scene.nurse.clinic_id)
    looker.join(5)
    assert not looker.is_alive()


def test_too_many_viewers_are_told_to_look_for_themselves(visit, scene, monkeypatch):
    monkeypatch.setattr(live, "MOST_VIEWERS", 0)
    response = visit(scene.nurse).get("/live")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"


def test_the_stream_begins_with_a_sign_of_life(visit, scene):
    nurse = visit(scene.nurse)
    nurse.page("/worklist")
    response = nurse.get("/live")
    assert response.mimetype == "text/event-stream"
    assert next(response.response).startswith(b"event: alive\ndata: ")
    assert "Set-Cookie" not in response.headers, "looking on prolongs no session"
    response.close()


def test_what_a_page_fetches_by_itself_prolongs_no_session(visit, scene):
    nurse = visit(scene.nurse)
    assert "Set-Cookie" in nurse.get("/worklist").headers
    by_itself = nurse.client.get("/worklist", headers={live.BY_ITSELF: "live"})
    assert (by_itself.status_code, by_itself.headers.get("Set-Cookie")) == (200, None)


def test_those_without_a_worklist_get_no_news_of_it(visit, scene):
    assert visit(scene.engineer).get("/live").status_code == 403
    assert visit(None).get("/live").status_code == 302


@pytest.mark.parametrize(("changes", "news"), [(True, b"changed"), (False, b"alive")])
def test_what_changed_between_the_page_and_the_first_look_is_news(visit, scene, changes, news):
    nurse = visit(scene.nurse)
    [address] = re.findall(r'data-live="([^"]+)"', nurse.get("/worklist").text)
    if changes:
        db.session.get_one(Alert, scene.alert.id).changed_at = clock.now() + dt.timedelta(days=1)
    db.session.commit()
    response = nurse.get(address)
    heard = [next(response.response) for _ in range(2)]
    response.close()
    assert heard[1].startswith(b"event: " + news)
