"""The document of the API: what it says is so, by a validator and by requests made up from it."""

import json
import os
import re
import subprocess
import sys

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

import lake
import source_data
import web

# What must hold for every request that the document allows, and for those that it does not.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance", "unsupported_method"]
EXAMPLES = int(os.environ.get("K2_API_EXAMPLES", "25"))


@pytest.fixture
def served(data_dir, sample_data, start):
    lake.load_asx(data_dir, *([path for path in files if path.stem == "3153"] for files in (source_data.ASX_TRADES, source_data.ASX_QUOTES)))
    lake.archive(data_dir)
    server = start("serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0")
    return server, server.wait_until(lambda: find_url(server), "its URL")


def find_url(server):
    found = re.search(r"http://127\.0\.0\.1:\d+", server.talk_file.read_text() + server.data_file.read_text())
    return found and web.is_up(found[0] + "/livez") and found[0]


def test_the_document_is_openapi_3_1(served):
    document = web.get(served[1] + "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    validate(document, cls=OpenAPIV31SpecValidator)


def test_the_page_of_the_document_needs_nothing_from_elsewhere(served):
    page = web.get(served[1] + "/docs")
    assert page.status == 200 and page.headers.get_content_type() == "text/html"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert re.findall(r"(?:src|href)=\"(?!/|data:)[^\"]*\"|https?://(?!www\.w3\.org)[\w.]+", page.body.decode()) == []
    assert 'href="/docs"' in web.get(served[1] + "/").body.decode()


@pytest.mark.slow
def test_no_request_made_up_from_the_document_gets_an_answer_that_is_not_in_it(served, tmp_path):
    server, url = served
    # The stream has no end, so a client that reads whole answers cannot ask for it.
    command = [sys.executable, "-m", "schemathesis.cli", "run", url + "/openapi.json", "--checks", ",".join(CHECKS), "--phases",
               "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--exclude-path", "/v1/stream", "--seed", "20261123",
               "--request-timeout", "20", "--no-color", "--suppress-health-check", "all", "--generation-database", "none"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    assert server.running() and web.is_up(url + "/livez")
