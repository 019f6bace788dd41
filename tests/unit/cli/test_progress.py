"""The arithmetic and the looks of progress."""

from __future__ import annotations

import io
import json

import ddt

from tests.base import TestCase
from xenimage.cli.progress import Bar, JsonLines, Meter, Nobody, clock_text, render_bar
from xenimage.units import MIB


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class MeterTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.meter = Meter("read", 1000, self.clock)

    def after(self, seconds: float, count: int) -> None:
        self.clock.now += seconds
        self.meter.advance(count)

    def test_it_never_goes_backwards_nor_past_the_end(self) -> None:
        self.meter.advance(400)
        self.meter.advance(-300)
        self.assertEqual(400, self.meter.done)
        self.meter.advance(10000)
        self.assertEqual((1000, 1.0, True), (self.meter.done, self.meter.fraction, self.meter.complete))

    def test_nothing_to_do_is_done(self) -> None:
        meter = Meter("read", 0, self.clock)
        self.assertEqual((1.0, True, 0.0), (meter.fraction, meter.complete, meter.eta(meter.rate())))

    def test_rate_and_remaining_time(self) -> None:
        self.assertEqual((0.0, None), (self.meter.rate(), self.meter.eta(0.0)))
        self.after(2, 400)
        self.assertEqual(200.0, self.meter.rate())
        self.assertEqual(3.0, self.meter.eta(200.0))

    def test_the_rate_is_that_of_the_last_moments(self) -> None:
        for _ in range(10):
            self.after(1, 10)
            self.meter.rate()
        for _ in range(6):
            self.after(1, 100)
            rate = self.meter.rate()
        self.assertEqual(100.0, rate)

    def test_a_complete_stage_tells_its_mean(self) -> None:
        self.after(1, 100)
        self.after(9, 900)
        self.assertEqual((100.0, 0.0), (self.meter.rate(), self.meter.eta(100.0)))


@ddt.ddt
class BarTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.stream = io.StringIO()
        self.bar = Bar(self.stream, unicode=False, clock=self.clock)

    def test_a_stage_from_its_start_to_its_end(self) -> None:
        self.bar.start("Writing", 4 * MIB)
        self.clock.now += 1
        self.bar.advance(2 * MIB)
        self.clock.now += 1
        self.bar.advance(2 * MIB)
        self.bar.stop()
        pictures = self.stream.getvalue().split("\r")
        self.assertIn("Writing ....................   0 %", pictures[1])
        self.assertEqual("Writing ##########..........  50 %  2 MiB of 4 MiB  2 MiB/s  0:01 left\x1b[K", pictures[2])
        self.assertEqual("Writing #################### 100 %  4 MiB of 4 MiB  2 MiB/s  in 0:02\x1b[K\n", pictures[-1])

    def test_it_is_not_drawn_more_than_ten_times_a_second(self) -> None:
        self.bar.start("Writing", 1000)
        for _ in range(1000):
            self.clock.now += 0.001
            self.bar.advance(1)
        self.bar.stop()
        self.assertLessEqual(self.stream.getvalue().count("\r"), 12)

    @ddt.data("stop", "close")
    def test_an_unfinished_line_is_taken_away(self, end: str) -> None:
        self.bar.start("Writing", 10)
        getattr(self.bar, end)()
        self.bar.close()
        self.bar.advance(5)
        self.assertTrue(
            self.stream.getvalue().endswith("%  0 B of 10 B  0 B/s  \x1b[K\r\x1b[K"), self.stream.getvalue()
        )

    @ddt.data(8, 12, 25, 40, 60, 79, 200)
    def test_it_fits_the_width(self, width: int) -> None:
        meter = Meter("Reading the source", 3 * MIB, self.clock)
        self.clock.now += 1
        meter.advance(MIB)
        self.assertLessEqual(len(render_bar(meter, width, "#", ".")), width)


class JsonLinesTest(TestCase):
    def test_first_last_and_two_a_second_between(self) -> None:
        clock, stream = Clock(), io.StringIO()
        lines = JsonLines(stream, clock=clock)
        lines.start("write", 4000)
        for _ in range(4000):
            clock.now += 0.001
            lines.advance(1)
        lines.stop()
        lines.close()
        told = [json.loads(line) for line in stream.getvalue().splitlines()]
        self.assertEqual({"stage": "write", "done": 0, "total": 4000, "rate": 0, "eta": None}, told[0])
        self.assertEqual({"stage": "write", "done": 4000, "total": 4000, "rate": 1000, "eta": 0.0}, told[-1])
        self.assertLessEqual(len(told), 10)
        self.assertEqual(sorted(line["done"] for line in told), [line["done"] for line in told])

    def test_a_stage_that_failed_says_how_far_it_came(self) -> None:
        stream = io.StringIO()
        lines = JsonLines(stream, clock=Clock())
        lines.start("write", 10)
        lines.advance(4)
        lines.close()
        self.assertEqual(4, json.loads(stream.getvalue().splitlines()[-1])["done"])


@ddt.ddt
class TextTest(TestCase):
    @ddt.data((0, "0:00"), (5.4, "0:05"), (65, "1:05"), (3723, "1:02:03"))
    @ddt.unpack
    def test_time(self, seconds: float, text: str) -> None:
        self.assertEqual(text, clock_text(seconds))

    def test_nobody(self) -> None:
        nobody = Nobody()
        nobody.start("x", 1)
        nobody.advance(1)
        nobody.stop()
        nobody.close()
