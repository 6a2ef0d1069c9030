"""Which code decides a result: what an edit changes, and which files count."""

import pytest

from pipeline.base import code

MODULE = '''
"""A module."""

import math


def area(r: float) -> float:
    """Of a circle."""
    return math.pi * r**2  # squared


class Disc:
    """A disc."""

    r: float = 1.0
    """its radius"""
'''


def same(source):
    return code.fingerprint(source.encode()) == code.fingerprint(MODULE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another text."""'),
        ('"""A module."""\n', ""),
        ('    """Of a circle."""\n', ""),
        ('    """A disc."""\n\n', ""),
        ('"""its radius"""', '"""in metres"""'),
        ("# squared", "# the square of the radius"),
        ("math.pi * r**2", "(\n        math.pi * r ** 2\n    )"),
        ("\n\n\nclass", "\n\n\n\n\n\nclass"),
    ],
)
def test_docstrings_comments_and_layout_do_not_matter(old, new):
    assert MODULE.replace(old, new) != MODULE
    assert same(MODULE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("r**2", "r**3"),
        ("r: float = 1.0", "r: float = 2.0"),
        ("import math", "import cmath as math"),
        ("def area", "def surface"),
        ("(r: float)", "(r: int)"),
        ("    return math", '    print("""Of a circle.""")\n    return math'),
    ],
)
def test_code_does(old, new):
    assert MODULE.replace(old, new) != MODULE
    assert not same(MODULE.replace(old, new))


def test_a_function_of_nothing_but_a_docstring_is_read():
    assert code.fingerprint(b'def f():\n    """Nothing."""\n') == code.fingerprint(b'def f():\n    """Text."""\n')
    assert code.fingerprint(b'def f():\n    """Nothing."""\n') != code.fingerprint(b"def g():\n    '''Nothing.'''\n")


@pytest.fixture
def project(tmp_path):
    """Files that import each other, as {name: source}; stages.run imports what its name says."""
    sources = {
        "pipeline/__init__.py": "",
        "pipeline/room/__init__.py": '"""A room."""',
        "pipeline/room/plain.py": "import pipeline.room.deep",
        "pipeline/room/deep.py": "import numpy",
        "pipeline/room/named.py": "",
        "pipeline/room/inside.py": "",
        "pipeline/room/types_only.py": "",
        "pipeline/room/otherwise.py": "",
        "pipeline/room/unrelated.py": "",
        "stages/__init__.py": "",
        "stages/run.py": (
            "from typing import TYPE_CHECKING\n"
            "import pipeline.room.plain\n"
            "from pipeline.room import named\n"
            "if TYPE_CHECKING:\n    from pipeline.room import types_only\n"
            "else:\n    from pipeline.room import otherwise\n"
            "def main():\n    from pipeline.room.inside import something\n"
        ),
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def names(files, root):
    return [file.relative_to(root).as_posix() for file in files]


def test_the_closure_has_what_is_imported_also_inside_functions_but_not_for_type_checkers(project):
    assert names(code.closure("stages.run", root=project), project) == [
        "pipeline/__init__.py",
        "pipeline/room/__init__.py",
        "pipeline/room/deep.py",
        "pipeline/room/inside.py",
        "pipeline/room/named.py",
        "pipeline/room/otherwise.py",
        "pipeline/room/plain.py",
        "stages/__init__.py",
        "stages/run.py",
    ]


def test_a_circle_of_imports_ends(project):
    (project / "pipeline/room/deep.py").write_text("import pipeline.room.plain")
    assert "pipeline/room/plain.py" in names(code.closure("pipeline.room.deep", root=project), project)


def test_fingerprints_are_those_of_the_closure(project):
    prints = code.fingerprints("pipeline.room.plain", root=project)
    expected = ["pipeline/__init__.py", "pipeline/room/__init__.py", "pipeline/room/deep.py", "pipeline/room/plain.py"]
    assert list(prints) == expected
    assert prints["pipeline/room/deep.py"] == code.fingerprint(b"import numpy")


def test_a_module_that_is_not_ours_has_no_files():
    assert code.files_of("numpy") == []
    assert code.files_of("pipeline.base.errors.InputError")[-1].name == "__init__.py"


def test_the_closure_of_a_stage_of_this_project():
    files = names(code.closure("stages.prepare"), code.ROOT)
    assert {"stages/prepare.py", "pipeline/text/sources.py", "pipeline/base/cli.py"} <= set(files)
    assert not any(file.startswith(("pipeline/models/", "pipeline/demo/")) for file in files)
