"""Generated scenes and the scores of labels, against cases counted by hand and against loops."""

import numpy as np
import pytest

from cnnlib import scenes
from cnnlib.scenes import CLASSES, count_pairs, dice, iou, near_borders


def test_the_scenes_of_the_course_are_always_the_same_and_the_two_splits_share_none():
    images, labels = scenes.load("test")
    assert (images.shape, images.dtype) == ((400, 64, 64), np.uint8)
    assert (labels.shape, labels.dtype) == ((400, 64, 64), np.uint8)
    again, _ = scenes.load("test")
    np.testing.assert_array_equal(again, images)
    train, _ = scenes.load("train")
    assert len(train) == 600
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in images}


def test_every_class_covers_its_part_of_the_scenes_and_most_is_ground():
    _, labels = scenes.draw(300, np.random.default_rng(0))
    shares = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    assert len(shares) == 4
    assert 0.7 < shares[0] < 0.85
    assert np.all(np.abs(shares[1:] - 0.08) < 0.015)


def test_the_three_shapes_are_equally_large():
    rows, columns = np.mgrid[-1:1:401j, -1:1:401j]
    areas = [4 * scenes.shape(kind, rows, columns, 0.5, 0.2).mean() for kind in (1, 2, 3)]
    np.testing.assert_allclose(areas, np.pi / 4, rtol=0.01)


def test_brightness_does_not_tell_the_class():
    images, labels = scenes.draw(400, np.random.default_rng(1))
    means = [images[labels == kind].mean() for kind in range(4)]
    assert max(means) - min(means) < 12  # of 255


def test_the_light_changes_and_there_is_noise():
    images, labels = scenes.draw(60, np.random.default_rng(2))
    ground = np.where(labels == 0, images, np.nan)
    left, right = np.nanmean(ground[:, :, :16], (1, 2)), np.nanmean(ground[:, :, 48:], (1, 2))
    assert np.abs(left - right).max() > 25
    rough = np.diff(images.astype(float), axis=2)[(labels[:, :, 1:] == 0) & (labels[:, :, :-1] == 0)]
    assert 0.04 < np.std(rough) / 255 / np.sqrt(2) < 0.08


@pytest.mark.parametrize(("count", "size"), [(0, 64), (3, 15)])
def test_no_scene_or_too_small_a_scene_is_refused(count, size):
    with pytest.raises(ValueError, match="at least one, of 16 pixels or more"):
        scenes.draw(count, np.random.default_rng(0), size=size)


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="'rest'"):
        scenes.load("rest")


WANT = np.array([[0, 0, 1], [0, 2, 1]])
GOT = np.array([[0, 1, 1], [0, 0, 1]])


def test_pairs_are_counted_by_true_class_and_given_label():
    assert count_pairs(GOT, WANT, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    where = np.array([[True, True, False], [False, False, False]])
    assert count_pairs(GOT, WANT, 2, where).tolist() == [[1, 1], [0, 0]]


def test_iou_and_dice_by_hand_with_a_class_missed_and_a_class_absent():
    pairs = count_pairs(GOT, WANT, 4)
    np.testing.assert_allclose(iou(pairs), [2 / 4, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(dice(pairs), [4 / 6, 4 / 5, 0, np.nan])


def test_a_class_that_is_claimed_and_not_there_has_0_and_not_nan():
    pairs = count_pairs(np.array([1, 0]), np.array([0, 0]), 3)
    np.testing.assert_allclose(iou(pairs), [0.5, 0, np.nan])


def test_iou_and_dice_are_those_of_sets_of_pixels():
    rng = np.random.default_rng(3)
    got, want = rng.integers(0, 5, (2, 3, 7, 6))
    pairs = count_pairs(got, want, 5)
    for k in range(5):
        mine, true = set(np.flatnonzero(got == k)), set(np.flatnonzero(want == k))
        assert iou(pairs)[k] == pytest.approx(len(mine & true) / len(mine | true))
        assert dice(pairs)[k] == pytest.approx(2 * len(mine & true) / (len(mine) + len(true)))


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 2\)"):
        count_pairs(np.zeros((2, 3), int), np.zeros((2, 2), int), 2)


@pytest.mark.parametrize("within", [1, 2])
def test_near_a_border_are_the_pixels_with_another_class_within_reach(within):
    labels = np.random.default_rng(4).integers(0, 2, (2, 9, 7)) * (np.arange(7) > 3)
    got = near_borders(labels, within)
    for n, i, j in np.ndindex(labels.shape):
        window = labels[n, max(i - within, 0) : i + within + 1, max(j - within, 0) : j + within + 1]
        assert got[n, i, j] == (window != labels[n, i, j]).any()
    assert 0 < got.mean() < 1
    assert not near_borders(np.full((1, 5, 5), 3), within).any()  # the edge of an image is no border
