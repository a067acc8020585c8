"""hvac's own integration tests, run against Bulkhead and against `bao`, side by side.

    python3 tests/clients/hvac_suite.py [pytest arguments]

The tests come with hvac's source distribution, which pip fetches to `target/clients`; nothing of
it is kept here. Both servers are started by those tests themselves, each class its own, through a
script named `vault` that reads the tests' config and writes one that the server takes: Bulkhead
keeps no storage in memory but in dev mode, so it has Raft. Ends with status 0 if every test that passes with `bao` passes with
Bulkhead too, or is listed in `hvac_suite.txt` with a reason, and nothing listed passes.

Not part of `cargo xtask test`: it needs a package index, and takes some minutes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HVAC = "2.4.0"
PACKAGES = [
    f"hvac=={HVAC}", "pytest==9.2.0", "pytest-timeout==2.4.0", "requests-mock==1.12.1",
    "pytest-rerunfailures==16.7", "parameterized==0.9.0", "jwcrypto==1.6.1", "pyhcl==0.4.5", "packaging",
]
# What both servers pass for, so that the tests ask the same of both.
VERSION = "Vault v1.18.0 (0000), built 2024-01-01T00:00:00Z"
# Of the suite, what is about parts that Bulkhead has.
PARTS = [
    "api/system_backend", "api/auth_methods/test_approle.py", "api/auth_methods/test_token.py",
    "api/secrets_engines/test_identity.py", "api/secrets_engines/test_kv_v1.py",
    "api/secrets_engines/test_kv_v2.py", "v1",
]

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / "target" / "clients"
ROOT = HERE.parent.parent


def program(name, *candidates):
    """The executable of a server, from the environment or where it is built."""
    given = os.environ.get(name)
    for path in [given] if given else [ROOT / path for path in candidates]:
        if Path(path).is_file():
            return Path(path).resolve()
    sys.exit(f"set {name}: there is none of {candidates}")


def prepared():
    """A Python with what the tests need, and the folder of the tests."""
    python = WORK / "venv" / "bin" / "python"
    source = WORK / f"hvac-{HVAC}"
    if not source.is_dir():
        venv.create(WORK / "venv", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        fetch = ["download", "-q", "--no-deps", "--no-binary", "hvac", "-d", WORK, f"hvac=={HVAC}"]
        subprocess.run([python, "-m", "pip", *fetch], check=True)
        with tarfile.open(WORK / f"hvac-{HVAC}.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
        # Theirs is of X.509 version 1 (and of the past), which Bulkhead's TLS does not read.
        folder = source / "tests" / "config_files"
        made = ["-x509", "-new", "-key", folder / "client-key.pem", "-out", folder / "client-cert.pem"]
        subprocess.run(["openssl", "req", *made, "-days", "30", "-subj", "/CN=client"], check=True)
    return python, source


def serve(server, config_path):
    """Becomes a server at the address of the tests' config, where audit devices may be made."""
    config = json.loads(Path(config_path).read_text())
    listener = config["listener"]["tcp"]
    address = listener["address"]
    folder = tempfile.mkdtemp(dir=os.environ["SUITE_DATA"])
    Path(folder, "data").mkdir()
    peers = f"127.0.0.1:{int(address.split(':')[1]) + 1}"
    # Raft's leader is there some moments after the last key share, for which the tests do not
    # wait. And what `bao` has left out unless it is told to offer it counts as a difference.
    is_bao = Path(server).name == "bao"
    storage = "inmem" if is_bao else "raft"
    options = "" if is_bao else f'  path    = "{folder}/data"\n  node_id = "one"'
    more = "  disable_unauthed_rekey_endpoints = false" if is_bao else ""
    Path(folder, "config.hcl").write_text(f"""
storage "{storage}" {{
{options}
}}
listener "tcp" {{
  address         = "{address}"
  cluster_address = "{peers}"
  tls_cert_file   = "{Path(listener["tls_cert_file"]).resolve()}"
  tls_key_file    = "{Path(listener["tls_key_file"]).resolve()}"
{more}
}}
unsafe_allow_api_audit_creation = true
api_addr          = "https://{address}"
cluster_addr      = "https://{peers}"
disable_mlock     = true
default_lease_ttl = "768h"
max_lease_ttl     = "768h"
""")
    # Nobody reads the pipes that the tests give it.
    log = os.open(f"{folder}/log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execv(server, [server, "server", f"-config={folder}/config.hcl"])


def told_otherwise(test, theirs, ours, reasons):
    """Tells of a test that fails with both where it fails in another way; 1 if that is not listed."""
    varying = r"\b(OpenBao|Bulkhead)\b|:\d{2,5}\b|\d{4}-\d\d-\d\dT[\d:.Z]+|\[\d+ chars\][^}]*}"
    plain = [re.sub(varying, "", said) for said in (theirs, ours)]
    if plain[0] == plain[1] or test in reasons:
        return 0
    print(f"{test}: fails with both, NOT ALIKE")
    for said in plain:
        print("   ", re.sub(r"\s+", " ", said)[:600])
    return 1


def outcomes(name, server, python, source, arguments):
    """Each test's outcome with this server: a word, and what it said."""
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-test-clients-"))
    try:
        wrapper = folder / "vault"
        wrapper.write_text(f"""#!/bin/sh
case "$1" in
  -version) echo '{VERSION}' ;;
  server) exec '{sys.executable}' '{Path(__file__).resolve()}' --serve '{server}' "${{2#-config=}}" ;;
  *) exec '{server}' "$@" ;;
esac
""")
        wrapper.chmod(0o755)
        report = WORK / f"{name}.xml"
        report.unlink(missing_ok=True)
        environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", SUITE_DATA=str(folder), HOME=str(folder))
        parts = arguments or [f"tests/integration_tests/{part}" for part in PARTS]
        command = [python, "-m", "pytest", "-q", "-o", "addopts=", "--timeout=120", "-p", "no:cacheprovider", f"--junitxml={report}"]
        if name == "bao":
            # It converts a new mount of KV version 2 for a moment in which it refuses requests.
            command += ["--reruns=5", "--reruns-delay=1"]
        with open(WORK / f"{name}.log", "w") as log:
            subprocess.run([*command, *parts], cwd=source, env=environment, stdout=log, stderr=subprocess.STDOUT)
        return read_report(report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_report(report):
    """Outcomes by test."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        where = case.get("classname").replace("tests.integration_tests.", "")
        bad = next((case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None)
        if bad is not None:
            found[f"{where}.{case.get('name')}"] = ("failed", (bad.get("message") or "").strip())
        elif case.find("skipped") is not None:
            found[f"{where}.{case.get('name')}"] = ("skipped", case.find("skipped").get("message") or "")
        else:
            found[f"{where}.{case.get('name')}"] = ("passed", "")
    return found


def listed():
    """Differences that are right: test and reason, a line each."""
    lines = (HERE / "hvac_suite.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def main(arguments):
    """Runs both, and tells what differs."""
    WORK.mkdir(parents=True, exist_ok=True)
    python, source = prepared()
    servers = {
        "bao": program("BAO_BIN", "target/peer/bin/bao"),
        "bulkhead": program("BULKHEAD_BIN", "target/release/bulkhead", "target/debug/bulkhead"),
    }
    results = {name: outcomes(name, server, python, source, arguments) for name, server in servers.items()}
    for name, result in results.items():
        words = [word for word, _ in result.values()]
        print(f"{name}: {', '.join(f'{words.count(word)} {word}' for word in ('passed', 'failed', 'skipped'))}")
    reasons = listed()
    faults = 0
    for test in sorted(results["bao"].keys() | results["bulkhead"].keys()):
        (theirs, _), (ours, said) = (results[name].get(test, ("absent", "")) for name in ("bao", "bulkhead"))
        if theirs == ours:
            faults += told_otherwise(test, *(results[name][test][1] for name in ("bao", "bulkhead")), reasons)
            continue
        reason = reasons.get(test) if theirs == "passed" else "passes with Bulkhead only"
        faults += reason is None
        print(f"{test}: {theirs} with bao, {ours} with Bulkhead: {reason or 'NOT LISTED'}")
        if reason is None:
            print("   ", re.sub(r"\s+", " ", said)[:600])
    for test in sorted(reasons.keys()):
        if results["bulkhead"].get(test, ("", ""))[0] == "passed":
            faults += 1
            print(f"{test}: listed, and passes")
    return 1 if faults else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    sys.exit(main(sys.argv[1:]))
