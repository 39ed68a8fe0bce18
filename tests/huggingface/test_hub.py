"""Models by their hub id, from a server on 127.0.0.1 that stands in for the hub; and the documented
examples, as they are written."""

import hashlib
import re
import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from transformers import DecisionTransformerConfig as TheirConfig
from transformers import DecisionTransformerModel as TheirModel

from seqrl.errors import DataError, MissingExtra
from seqrl.huggingface import DecisionTransformerConfig, DecisionTransformerModel
from tests.huggingface.making import pair

COMMIT = "c" * 40
HOPPER = "edbeeching/decision-transformer-gym-hopper-medium"
"""The id in the documented example."""


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder under <id>/resolve/<revision>/<file>, as the hub does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Hub

    def do_HEAD(self) -> None:
        """Say what there is."""
        self._answer(b"")

    def do_GET(self) -> None:
        """Send it."""
        self._answer(None)

    def _answer(self, body: bytes | None) -> None:
        self.server.asked.append(self.path)
        owner, _, name = self.path.lstrip("/").partition("/resolve/main/")
        file = self.server.folder / owner / name
        found = file.is_file()
        content = file.read_bytes() if found else b"nothing here"
        self.send_response(200 if found else 404)
        if not found:
            known = (self.server.folder / owner).is_dir()
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if body is None else body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Let the hub be this machine, with an empty cache."""
    server = Hub(tmp_path / "hub")
    address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("pickled", [False, True])
def test_a_hub_id_is_read(hub: Hub, pickled: bool) -> None:
    """The hub's cache is made of links out of its folders; those are its own and are followed."""
    theirs, _ = pair(1)
    folder = hub.folder / "someone" / "a-model"
    theirs.save_pretrained(folder)
    if pickled:
        (folder / "model.safetensors").unlink()
        torch.save(theirs.state_dict(), folder / "pytorch_model.bin")
    model = DecisionTransformerModel.from_pretrained("someone/a-model")
    assert torch.equal(model.embed_ln.weight, theirs.embed_ln.weight)
    downloads = len(hub.asked)
    cached = next(Path(huggingface_hub.constants.HF_HUB_CACHE).glob("*/snapshots/*"))
    assert (cached / "config.json").is_symlink()
    again = DecisionTransformerModel.from_pretrained(cached)
    assert torch.equal(again.embed_ln.weight, theirs.embed_ln.weight)
    assert len(hub.asked) == downloads


def test_a_link_elsewhere_is_refused_in_the_hub_s_cache_too(hub: Hub, tmp_path: Path) -> None:
    """Looking like the hub's cache is no licence."""
    theirs, _ = pair(1)
    theirs.save_pretrained(hub.folder / "someone" / "a-model")
    DecisionTransformerModel.from_pretrained("someone/a-model")
    cached = next(Path(huggingface_hub.constants.HF_HUB_CACHE).glob("*/snapshots/*"))
    (tmp_path / "secret").write_text("{}")
    (cached / "config.json").unlink()
    (cached / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of its folder"):
        DecisionTransformerModel.from_pretrained(cached)


def test_what_the_hub_has_not_is_said(hub: Hub) -> None:
    """An id that does not exist, a model without the file."""
    with pytest.raises(DataError, match="of the hub id 'no/model' could not be had"):
        DecisionTransformerConfig.from_pretrained("no/model")
    (hub.folder / "an" / "empty").mkdir(parents=True)
    with pytest.raises(DataError, match=r"an/empty has no config\.json"):
        DecisionTransformerConfig.from_pretrained("an/empty")
    DecisionTransformerConfig().save_pretrained(hub.folder / "an" / "empty")
    with pytest.raises(DataError, match="an/empty has no weights"):
        DecisionTransformerModel.from_pretrained("an/empty")


def test_without_a_connection_the_sentence_says_so(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commonest case on a cluster."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub's package tries again
    hub.server_close()
    with pytest.raises(DataError, match=r"could not be had: .* Check the spelling and the"):
        DecisionTransformerConfig.from_pretrained("someone/a-model")


@pytest.mark.parametrize(
    "place", ["no/such/folder", "misspelt", "../up", "a/b c", "", "http://x/y"]
)
def test_what_cannot_be_an_id_is_not_asked_for(hub: Hub, place: str) -> None:
    """A misspelt folder must not go out into the world."""
    with pytest.raises(DataError, match=r"cannot be a hub id|has no config\.json"):
        DecisionTransformerConfig.from_pretrained(place)
    assert not hub.asked


def test_without_the_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setattr("seqrl.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'seqrl\[hub\]'"):
        DecisionTransformerConfig.from_pretrained("someone/a-model")


def _example(documented: Any) -> str:
    """Return the code of a docstring's example, its import line from here."""
    lines = re.findall(r"^\s*(?:>>>|\.\.\.) ?(.*)$", documented.__doc__, re.MULTILINE)
    assert sum("from transformers import" in line for line in lines) == 1
    return "\n".join(lines).replace("from transformers import", "from seqrl.huggingface import")


def test_the_documented_configuration_example_runs() -> None:
    """As written, apart from the import line."""
    names: dict[str, Any] = {}
    exec(_example(TheirConfig), names)
    assert names["configuration"] == DecisionTransformerConfig()


def test_the_documented_model_example_runs(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As written, apart from the import line: by the hub id, played for a step.

    The model behind the id is one of ours with the sizes of that task; `gym`, which the example
    takes from elsewhere, gives its states.
    """
    _, ours = pair(0, state_dim=11, act_dim=3, max_ep_len=1000)
    ours.save_pretrained(hub.folder / HOPPER)

    def space(size: int) -> Any:
        return types.SimpleNamespace(shape=(size,))

    env = types.SimpleNamespace(
        observation_space=space(11), action_space=space(3), reset=lambda: np.zeros(11)
    )
    gym = types.ModuleType("gym")
    monkeypatch.setattr(gym, "make", lambda name: env, raising=False)
    monkeypatch.setitem(sys.modules, "gym", gym)
    names: dict[str, Any] = {"device": "cpu", "TARGET_RETURN": 3.6, "gym": gym}
    exec(_example(TheirModel.forward), names)
    assert names["state_preds"].shape == (1, 1, 11)
    assert names["action_preds"].shape == (1, 1, 3)
    assert names["return_preds"].shape == (1, 1, 1)
