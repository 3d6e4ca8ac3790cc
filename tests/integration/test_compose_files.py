"""The compose files as Docker Compose itself reads them: by its loader, with its schema and its own checks."""

import subprocess
from pathlib import Path

import pytest

from tests.support.fetched import go_module
from tests.support.patience import PATIENCE_S

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose"
LOADER = """package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithResolvedPaths(true), cli.WithInterpolation(true))
	if err == nil {
		var project any
		project, err = options.LoadProject(context.Background())
		_ = project
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("good")
}
"""
pytestmark = pytest.mark.real_server


@pytest.fixture(scope="module")
def loader() -> Path:
    return go_module("compose", {"main.go": LOADER}, "github.com/compose-spec/compose-go/v2", "v2.4.9")


def load(loader: Path, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([loader, file], capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize("file", sorted(COMPOSE.glob("*.yaml")), ids=lambda path: path.name)
def test_compose_takes_the_file(loader: Path, file: Path) -> None:
    done = load(loader, file)
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


def test_it_would_see_a_wrong_key_and_a_service_that_is_not_there(loader: Path, tmp_path: Path) -> None:
    good = (COMPOSE / "embedded.yaml").read_text()
    for before, after in (
        ("restart: unless-stopped", "restarts: always"),
        ("{setup: {condition", "{set_up: {condition"),
    ):
        assert before in good
        (tmp_path / "wrong.yaml").write_text(good.replace(before, after))
        assert load(loader, tmp_path / "wrong.yaml").returncode == 1
