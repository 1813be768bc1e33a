import json
import re
from base64 import b64encode
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from attar.outputs.report.script import harmless, script


@given(st.text())
def test_data_in_a_page_says_the_same_and_has_nothing_that_html_could_read(text):
    safe = harmless(json.dumps([text, f"</script>{text}<!--"], ensure_ascii=False))
    assert json.loads(safe) == [text, f"</script>{text}<!--"]
    assert not set("<>&\u2028\u2029") & set(safe)


def test_the_policy_names_the_code_by_its_hash_and_lets_nothing_else_run_or_load():
    found = script({"x": {"mark": "bar"}})
    named = b64encode(sha256(str(found.code).encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in found.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{named}'"
    assert "http" not in found.policy
    assert not re.search(r"</script", found.code, re.IGNORECASE)


def test_a_page_without_charts_carries_no_code_and_may_run_none():
    found = script({})
    assert found.code == ""
    assert "script-src 'none'" in found.policy
