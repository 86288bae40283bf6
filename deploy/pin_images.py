"""Names the images of others in Dockerfile and compose.yaml by digest, as their registries have them now: make pin.

An image with a digest is the same one for ever, whatever its tag comes to mean; the tag stays beside it for the reader.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

LINES = {  # by file: what leads up to an image, and how that is named
    "Dockerfile": re.compile(
        r"^([ \t]*(?:FROM[ \t]+(?:--\S+[ \t]+)*|COPY[ \t](?:.*[ \t])?--from=))(\S*)", re.MULTILINE | re.IGNORECASE
    ),
    "compose.yaml": re.compile(
        r"""^((?:[^#\n]*[ \t{,])?["']?image["']?[ \t]*:(?=\s)[ \t]*["']?)((?:\$\{[^}\n]*\}|[^\s"',}])*)""", re.MULTILINE
    ),
}
IMAGE = re.compile(r"((?:[\w.-]+(?::\d+)?/)?[\w./-]+:\w[\w.-]*)(?:@sha256:[0-9a-f]{64})?")
STAGE = re.compile(r"^[ \t]*FROM[ \t].*[ \t]AS[ \t]+(\S+)", re.MULTILINE | re.IGNORECASE)
OURS = {"optlaws", "scratch"}  # of no registry: what compose.yaml builds, and the empty image
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def main(folder: Path) -> None:
    """Write the files anew in `folder`, or end with a sentence before any is changed."""
    texts = {name: (folder / name).read_text() for name in LINES}
    images = sorted({image for name, text in texts.items() for image in named(name, text).values() if image})
    digests = {image: digest(image) for image in images}
    for name, text in texts.items():
        (folder / name).write_text(pinned(name, text, digests))
    for image, found in digests.items():
        print(f"{image}@{found}")


def pinned(name: str, text: str, digests: dict[str, str]) -> str:
    """A file's text with the digests of its images."""
    known = {said: f"{image}@{digests[image]}" for said, image in named(name, text).items() if image}
    return LINES[name].sub(lambda at: at[1] + known.get(at[2], at[2]), text)


def named(name: str, text: str) -> dict[str, str]:
    """How a file names images -> name and tag; empty for those of no registry. Ends the program for one with no tag."""
    stages = STAGE.findall(text)
    own = OURS | set(stages) | {str(number) for number in range(len(stages))}
    found = {}
    for at in LINES[name].finditer(text):
        image = IMAGE.fullmatch(at[2])
        if not image and at[2] not in own:
            line = text.count("\n", 0, at.start(2)) + 1
            sys.exit(f"{name}, line {line}: an image must be named with its tag, as in debian:12, got {at[2]!r:.80}.")
        found[at[2]] = image[1] if image else ""
    return found


def digest(image: str) -> str:
    """That of an image's list of platforms. Ends the program where the registry cannot be asked."""
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = str(json.loads(done.stdout)["digest"])
    except subprocess.CalledProcessError as fault:
        sys.exit(f"{image}: its registry gave no digest: {fault.stderr.strip()}")
    except (OSError, ValueError, KeyError, TypeError):
        sys.exit(f"{image}: docker buildx, which asks its registry, is not installed, or gave no digest.")
    if not DIGEST.fullmatch(found):
        sys.exit(f"{image}: a digest reads sha256:…, got {found!r:.80}.")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
