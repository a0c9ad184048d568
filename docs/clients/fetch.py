#!/usr/bin/env python3
"""fetch.py DATASOURCE RECORDINGID VOICELOCATION FILE

The extension of FILE chooses the format. Needs nothing but Python.
"""

import base64
import os
import pathlib
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request


def main(datasource, recording_id, voicelocation, name):
    path = pathlib.Path(name)
    names = {
        "cmd": "getvmsg",
        "datasource": datasource,
        "recordingid": recording_id,
        "voicelocation": voicelocation,
    }
    query = urllib.parse.urlencode(names, quote_via=urllib.parse.quote)
    question = urllib.request.Request(f"{os.environ['CALLREEL_URL']}/voice{path.suffix}?{query}")
    login = f"{os.environ['CALLREEL_USER']}:{os.environ['CALLREEL_PASSWORD']}".encode()
    # "Unredirected": should anything ever send us elsewhere, the login does not go along.
    question.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login).decode())
    with urllib.request.urlopen(question, timeout=30) as answer:
        address = answer.read().decode()

    part = path.with_name(path.name + ".part")
    with urllib.request.urlopen(address, timeout=60) as sound, part.open("wb") as file:
        shutil.copyfileobj(sound, file)
        if file.tell() != int(sound.headers["Content-Length"]):
            raise OSError("the connection broke off")
    part.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except urllib.error.HTTPError as error:
        # The server says in one line what is wrong.
        sys.exit(error.read().decode())
    except OSError as error:
        sys.exit(f"cannot fetch: {error}")
