"""What operators are given: the image's files, without an engine to build it, and the recipes of docs/deployment.md."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from benchmarks.store import example
from optlaws_core.saved.database import PLACE
from optlaws_core.saved.rights import OPERATOR, Viewer
from optlaws_core.saved.store import Store
from pages.parts.server.hosts import HOSTS
from tests.places import ROOT

LOCK = ROOT / "deploy" / "requirements.lock"
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
DOCS = (ROOT / "docs" / "deployment.md").read_text()
COMPOSE = YAML(typ="safe").load(ROOT / "compose.yaml")
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
COPIES = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY") and "--from" not in line]
ME = Viewer("me")
START = 90  # seconds a server may take to answer: a cold machine imports slowly


# ---------------------------------------------------------------------------------------------------- lint


def test_the_dockerfile_passes_hadolint():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint has no build for this platform, so the Dockerfile was not linted")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_follows_its_schema():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_compose_sends_the_proxy_to_every_server_and_these_to_the_database():
    services = COMPOSE["services"]
    port = re.search(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[1]
    servers = [name for name, service in services.items() if service.get("image") == "optlaws"]
    assert services["proxy"]["environment"]["REPLICAS"].split() == [f"{name}:{port}" for name in servers]
    assert {services[name]["environment"][PLACE] for name in servers} == {"postgresql://optlaws@database/optlaws"}
    site = services["proxy"]["environment"]["SITE"]
    assert {services[name]["environment"][HOSTS] for name in servers} == {site}
    mounted = [volume.split(":")[0] for s in services.values() for volume in s.get("volumes", ())]
    assert all(
        (ROOT / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"] for source in mounted
    )


def test_compose_takes_keys_of_trackers_from_a_file_that_is_kept_nowhere_else():
    servers = [service for service in COMPOSE["services"].values() if service.get("image") == "optlaws"]
    ((keys,),) = {tuple(file["path"] for file in service["env_file"]) for service in servers}
    assert f"`{keys}`" in DOCS and f"/{keys}" in (ROOT / ".gitignore").read_text().splitlines() and ignored(keys)
    assert not any(file["required"] for service in servers for file in service["env_file"])
    assert not any(name.endswith(("_KEY", "_TOKEN")) for service in servers for name in service["environment"])


DOCKER = """#!/bin/sh
case "$4" in
    caddy*) echo "no such host" >&2; exit $CADDY ;;
esac
printf '{"digest": "sha256:%064d"}' "${#4}"
"""


@pytest.mark.parametrize("missing", [False, True])
def test_images_are_named_by_the_digests_that_their_registries_say(tmp_path, missing):
    names = ("Dockerfile", "compose.yaml")
    before = {name: (ROOT / name).read_text() for name in names}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "docker").write_text(DOCKER if missing else DOCKER.replace("exit $CADDY", ""))
    (tmp_path / "docker").chmod(0o700)
    run = [sys.executable, ROOT / "deploy" / "pin_images.py", tmp_path]
    for _ in range(2):  # the second time there are digests already
        done = subprocess.run(run, env={"PATH": f"{tmp_path}:/bin", "CADDY": "1"}, capture_output=True, text=True)
    after = {name: (tmp_path / name).read_text() for name in names}
    if missing:
        assert (done.returncode, after) == (1, before)
        assert re.fullmatch(r"caddy:\S+: its registry gave no digest: no such host\n", done.stderr)
        return
    assert done.returncode == 0, done.stderr
    pinned = re.compile(r"@sha256:\d{64}")
    assert {name: pinned.sub("", text) for name, text in after.items()} == before
    images = [
        line.split()[1] for name in names for line in after[name].splitlines() if re.match("FROM|  +image:", line)
    ]
    assert len(images) == 5 and [image for image in images if not pinned.search(image)] == ["optlaws"]


@pytest.fixture
def pinned(tmp_path):
    """`pinned(dockerfile, compose) -> (status, what it says, the two files)` after the digests were asked for."""
    (tmp_path / "docker").write_text(DOCKER.replace("exit $CADDY", ""))
    (tmp_path / "docker").chmod(0o700)

    def made(*texts):
        files = [tmp_path / name for name in ("Dockerfile", "compose.yaml")]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        run = [sys.executable, ROOT / "deploy" / "pin_images.py", tmp_path]
        done = subprocess.run(run, env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True)
        return done.returncode, done.stderr, *(file.read_text() for file in files)

    return made


def test_images_are_found_however_a_line_names_them(pinned):
    dockerfile = """FROM --platform=linux/amd64 debian:12 AS base
from base
FROM scratch
COPY --from=base /a /a
COPY --chown=1 --from=registry:5000/z/y:1 /a /a
"""
    compose = """# image: what runs
services:
  a: {image: 'redis:8', command: x}
  b:
    image: "caddy:2"
    image : registry:5000/z:1  # here
    image: optlaws
"""
    status, said, *after = pinned(dockerfile, compose)
    assert (status, said) == (0, "")
    assert [re.sub(r"@sha256:\d{64}", "", text) for text in after] == [dockerfile, compose]
    with_digest = re.findall(r"([\w:/]+)@sha256:\d{64}", "".join(after))
    assert with_digest == ["debian:12", "registry:5000/z/y:1", "redis:8", "caddy:2", "registry:5000/z:1"]


@pytest.mark.parametrize("named", ["redis", "registry:5000/z", "*alias", "${IMAGE:-x:1}", ">-", ""])
def test_an_image_that_cannot_be_read_is_said_and_nothing_changed(pinned, named):
    before = "FROM debian:12\n", f"services:\n  a:\n    image: {named}\n"
    assert pinned(*before) == (
        1,
        f"compose.yaml, line 3: an image must be named with its tag, as in debian:12, got {named!r}.\n",
        *before,
    )


@pytest.mark.parametrize(
    "file, limit", [("deploy/Caddyfile", r"max_size (\d+)MiB"), ("deploy/nginx.conf", r"client_max_body_size (\d+)m;")]
)
def test_proxies_let_through_what_the_app_takes(file, limit):
    most = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]["maxUploadSize"]
    assert int(re.search(limit, (ROOT / file).read_text())[1]) == most + 1
    assert f"requests of {most + 1} MB" in DOCS


# ---------------------------------------------------------------------------------------------------- the image


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file out: the last pattern decides that fits it, or a folder that it is in."""
    found = False
    for pattern in IGNORED:
        regex = re.escape(pattern.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{regex}(?:/.*)?", path):
            found = not pattern.startswith("!")
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A folder with what the Dockerfile copies to /app, of what .dockerignore lets it see."""
    folder = tmp_path_factory.mktemp("image")
    for source, to in COPIES:
        files = [f for f in ((ROOT / source).rglob("*") if source.endswith("/") else [ROOT / source]) if f.is_file()]
        seen = [f for f in files if not ignored(f.relative_to(ROOT).as_posix())]
        assert seen, f"COPY {source} finds nothing"
        base = ROOT / source if source.endswith("/") else (ROOT / source).parent
        for file in seen:
            there = folder / to / file.relative_to(base)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, there)
    (folder / "blocked").mkdir()
    (folder / "blocked" / "torch.py").write_text("raise ImportError('the image has no torch')\n")
    return folder


def environment(image: Path, **more: str) -> dict[str, str]:
    """The process's own, with torch out of reach and what the Dockerfile sets."""
    told = " ".join(re.findall(r"^ENV (.*)", DOCKERFILE, re.MULTILINE))
    ours = {name: value for name, value in re.findall(r"(\w+)=(\S+)", told) if name != "PATH"}
    return {**os.environ, **ours, "PYTHONPATH": str(image / "blocked"), **more}


def command(instruction: str) -> list[str]:
    """The last command of that kind, by this Python."""
    program, *rest = json.loads(re.findall(rf"{instruction} (\[.*\])", DOCKERFILE)[-1])
    assert program == "python"
    return [sys.executable, *rest]


def test_the_image_holds_no_secrets_and_no_torch(image):
    for path in (
        ".git/config",
        ".env",
        ".streamlit/secrets.toml",
        ".venv/bin/python",
        "data/train.py",
        "tests/knowledge/twins.py",
    ):
        assert ignored(path), path
    assert re.findall(r"pip install (.*)", DOCKERFILE) == ["--require-hashes -r requirements.lock"]
    assert not ignored("deploy/requirements.lock") and "torch==" not in LOCK.read_text()
    assert not list(image.rglob("secrets*")) and not list(image.rglob("__pycache__"))
    assert DOCKERFILE.count("\nUSER ") == 1 and "\nUSER root" not in DOCKERFILE


def test_every_page_opens_with_the_image_files_alone(image, tmp_path):
    script = """
import functools
import sys
from pathlib import Path
sys.path.insert(0, ".")
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
for page in sorted(Path("pages").glob("*.py")):
    found = AppTest.from_file(str(page.resolve()), default_timeout=300).run()
    print(page.stem, len(found.title), [e.message for e in found.exception])
import pages.parts.state.session
assert Path(pages.parts.state.session.__file__).is_relative_to(Path.cwd())
"""
    told = environment(image, **{PLACE: str(tmp_path / "store.sqlite")})
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=image, env=told, capture_output=True, text=True, timeout=600
    )
    names = sorted(page.stem for page in (ROOT / "pages").glob("*.py"))
    assert done.stdout.splitlines() == [f"{name} 1 []" for name in names], done.stderr[-4000:]


def test_the_image_serves_and_its_health_check_tells(image, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = environment(
        image,
        STREAMLIT_SERVER_ADDRESS="127.0.0.1",
        STREAMLIT_SERVER_PORT=port,
        **{PLACE: str(tmp_path / "store.sqlite")},
    )
    healthy = command(r"HEALTHCHECK.*CMD")

    def check() -> int:
        return subprocess.run(healthy, env=told, stderr=subprocess.DEVNULL, timeout=60).returncode

    assert check() == 1  # nobody answers yet
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command("\nCMD"), cwd=image, env=told, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + START
            while (found := check()) and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.2)
        finally:
            process.terminate()
    assert found == 0, (tmp_path / "log").read_text()
    assert check() == 1


# ---------------------------------------------------------------------------------------------------- backups


def recipe(beginning: str, **where: str) -> None:
    """Run the commands of docs/deployment.md that begin so."""
    found = [block for block in re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL) if block.startswith(beginning)]
    assert len(found) == 1, f"{len(found)} recipes begin with {beginning}"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    told = {**os.environ, "PATH": path, PLACE: where["store"], "BACKUP": where["backup"]}
    subprocess.run(["sh", "-e", "-c", found[0]], env=told, check=True, timeout=300)


def saved_meanwhile(place: str, work) -> list[str]:
    """Ids that another thread saved, in order, before `work()` began; it goes on until `work()` has ended."""
    snapshot, ids, stop = example(), [], threading.Event()

    def save() -> None:
        with closing(Store(place)) as store:
            while not stop.is_set():
                ids.append(store.save(snapshot, ME))

    thread = threading.Thread(target=save)
    thread.start()
    try:
        while len(ids) < 5 and thread.is_alive():
            time.sleep(0.01)
        before = list(ids)
        work()
    finally:
        stop.set()
        thread.join()
    assert len(ids) > len(before), "nothing was saved while the backup was made"
    return before


def same_in(place: str, other: str, ids: list[str]) -> None:
    """Everything in `other` is whole and as it is in `place`, and these are in it."""
    with closing(Store(place)) as old, closing(Store(other)) as new:
        kept = new.listed(OPERATOR, limit=10**6)
        assert set(ids) <= {entry.id for entry in kept}
        assert kept == [old.entry(entry.id, OPERATOR) for entry in kept]
        assert {new.open(entry.id, OPERATOR).digest for entry in kept} == {kept[0].digest}
        new.save(example(), ME)  # and it goes on from there
        assert new.count(OPERATOR) == len(kept) + 1


def test_sqlite_is_backed_up_while_it_is_written_and_restored_elsewhere(tmp_path):
    place, other, backup = (str(tmp_path / name) for name in ("store.sqlite", "other.sqlite", "backup.sqlite"))
    ids = saved_meanwhile(place, lambda: recipe("python -c", store=place, backup=backup))
    with closing(Store(other)) as store:
        store.save(example(), ME)  # what the restore replaces
    recipe("rm -f", store=other, backup=backup)
    same_in(place, other, ids)


def test_postgresql_is_backed_up_while_it_is_written_and_restored_elsewhere(server, tmp_path):
    import psycopg

    if not shutil.which("pg_dump"):
        pytest.skip("PostgreSQL's pg_dump is not installed, so its backup was not tried")
    with closing(psycopg.connect(host=str(server), user="optlaws", dbname="postgres", autocommit=True)) as admin:
        admin.execute("create database kept")
        admin.execute("create database elsewhere")
    place, other = (f"postgresql://optlaws@/{name}?host={server}" for name in ("kept", "elsewhere"))
    backup = str(tmp_path / "backup")
    ids = saved_meanwhile(place, lambda: recipe("pg_dump", store=place, backup=backup))
    recipe("pg_restore", store=other, backup=backup)
    same_in(place, other, ids)
