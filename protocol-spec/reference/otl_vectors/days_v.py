# SPDX-License-Identifier: MIT OR Apache-2.0
"""days.csv and worst-day.csv."""

from otl import days


def files() -> dict[str, str]:
    """All files of this module."""
    return {"otl/days.csv": days.csv(days.days()), "otl/worst-day.csv": days.csv([days.worst_day()])}
