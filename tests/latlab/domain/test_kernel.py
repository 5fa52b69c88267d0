from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from latlab.domain import kernel as k
from latlab.domain.kernel import Kernel, pack

kernels = st.integers(1, 5).map(lambda width: Kernel(k.SIGMOID, ((width,),), (width,)))


@given(st.lists(st.lists(kernels)))
def test_packed_networks_are_a_table_of_distinct_kernels_and_rows_of_it(
    networks: list[list[Kernel]],
) -> None:
    table, lengths, indices = pack(networks)
    assert len(set(table)) == len(table)
    assert lengths == list(map(len, networks))
    assert [table[row] for row in indices] == [kernel for each in networks for kernel in each]
    assert list(dict.fromkeys(indices)) == list(range(len(table)))  # in order of appearance


def test_equal_kernels_have_one_row_whether_they_are_one_object_or_not() -> None:
    kernel = Kernel(k.SIGMOID, ((1,),), (1,))
    made_anew = ([replace(kernel)] for _ in range(100))  # each lives as long as it is asked for
    assert pack([[kernel, kernel], *made_anew]) == ([kernel], [2, *[1] * 100], [0] * 102)


def test_a_kernel_is_found_in_another_process_where_strings_hash_differently() -> None:
    kernel = Kernel(k.SIGMOID, ((1,),), (1,))
    assert hash(kernel) == hash(replace(kernel)) != hash(replace(kernel, groups=2))
    find = """
import pickle, sys
from latlab.domain.kernel import SIGMOID, Kernel
assert Kernel(SIGMOID, ((1,),), (1,)) in {pickle.load(sys.stdin.buffer)}
"""
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", find],
            input=pickle.dumps(kernel),
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            timeout=60,
        )
