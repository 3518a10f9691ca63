# SPDX-License-Identifier: MIT OR Apache-2.0
"""Times and limits of the session, as data (part 5)."""

ROUTINE_WAITS_S = (4, 10, 30)  # spec: SES-2
GIVE_UP_SPREAD_S = 15 * 60  # spec: SES-2
ALARM_REPEATS_S = (10, 30, 60)  # spec: SES-3
ALARM_LONGEST_PAUSE_S = 3600  # spec: SES-3
PAUSE_FACTOR_PERCENT = (75, 125)  # spec: SES-3
OUTSTANDING_S = 120  # spec: SES-1
COMMAND_WINDOW_S = 60  # spec: CMD-4
FRAMES_PER_DAY, RESERVED_FOR_ALARMS, COUNTERS_PER_DAY = 96, 32, 256  # spec: SES-4
BATCH = 8  # spec: REC-31
MOST_MORE = 8  # spec: SES-16
COUNTER_BLOCK = 64  # spec: NON-3
SESSIONS_UNDER_NEW, SESSIONS_UNDER_OLD = 3, 1  # spec: ROT-4
FLOOR_JUMP = 16_777_216  # spec: REP-7
SIGNER_SKEW_S = 30  # spec: CMD-18
SESSION_TICKET_S = 120  # spec: part 1, session
HELD_BACK_S = 60  # spec: FRS-3
MARK_AHEAD_S = 60  # spec: FRS-4
WINDOW = 16  # spec: REP-1
LINE_EPOCH, LINE_STEP_S, LINE_MARGIN = 1_577_836_800, 256, 1024  # spec: REP-6


def alarm_pauses(count: int) -> list[int]:
    """The first ``count`` pauses between the transmissions of an alarm, before the random factor."""
    pauses = list(ALARM_REPEATS_S)
    while len(pauses) < count:
        pauses.append(min(2 * pauses[-1], ALARM_LONGEST_PAUSE_S))
    return pauses[:count]


def floor(highest: int, utc_s: int) -> int:
    """The floor of FLOOR and RESYNC_ANSWER."""  # spec: REP-6
    return max(highest + 1, (utc_s - LINE_EPOCH) // LINE_STEP_S + LINE_MARGIN)
