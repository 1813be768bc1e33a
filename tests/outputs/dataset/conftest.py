import pytest
from datasets_for_tests import make_run

from attar.outputs.dataset.write import write_dataset


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="session")
def folder(run):
    return write_dataset(run[0], "try", test=0.3, license_id="cc-by-4.0")
