"""The stream of batches: every image once a pass, nothing dropped, a function of the step."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fish_jax.data.batches import Epochs, batch_indices, plan_epochs


@given(size=st.integers(1, 50), batch=st.integers(1, 60), passes=st.integers(1, 4))
def test_every_pass_has_every_image_once(size, batch, passes):
    epochs = Epochs(size, batch)
    stream = batch_indices(3, epochs, 0, epochs.steps_until(passes)).ravel()
    for number in range(passes):
        assert sorted(stream[number * size : (number + 1) * size]) == list(range(size))


@given(step=st.integers(0, 30), count=st.integers(1, 20))
def test_any_cut_gives_the_same_batches(step, count):
    epochs = Epochs(13, 4)
    whole = batch_indices(1, epochs, 0, 50)
    np.testing.assert_array_equal(batch_indices(1, epochs, step, count), whole[step : step + count])


def test_golden_order():
    expected = [[0, 3, 5, 1, 2, 4], [3, 4, 2, 1, 5, 0]]
    np.testing.assert_array_equal(batch_indices(0, Epochs(6, 6), 0, 2), expected)


def test_passes_and_seeds_differ():
    epochs = Epochs(100, 100)
    first, second = batch_indices(0, epochs, 0, 2)
    assert (first != second).any()
    assert (first != batch_indices(1, epochs, 0, 1)[0]).any()


@given(size=st.integers(1, 5000), batch=st.integers(1, 64), epoch=st.integers(1, 400))
def test_an_epoch_ends_at_its_first_step(size, batch, epoch):
    epochs = Epochs(size, batch)
    end = epochs.steps_until(epoch)
    assert epochs.done(end) >= epoch > epochs.done(end - 1)


def test_a_run_ends_with_its_images_within_an_epoch():
    config = {"batch_size": 8, "epochs": 0, "images": (100, 50)}
    epochs = plan_epochs(config, 60)
    assert (epochs.steps, epochs.total) == (19, 3)
    assert [epochs.steps_until(epoch) for epoch in (1, 2, 3, 4)] == [8, 15, 19, 19]
    assert [epochs.done(step) for step in (0, 7, 8, 15, 18, 19, 30)] == [0, 0, 1, 2, 2, 3, 4]
    assert plan_epochs(config | {"epochs": 4}, 60) == Epochs(60, 8, 240)
