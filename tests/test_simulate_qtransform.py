"""The Q scan against what theory says of it, and against gwpy."""

import numpy as np

from lensjax.simulate.qtransform import ScanConfig, plan


def test_rows_of_the_official_planes():
    planes = plan(ScanConfig()).planes
    assert [len(p.frequency) for p in planes] == [31, 59, 117, 234]
    np.testing.assert_allclose([p.q for p in planes], [5.657, 11.314, 22.627, 45.255], rtol=1e-4)
