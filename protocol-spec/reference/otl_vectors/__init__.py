# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makers of the committed vector files. Each returns texts; nothing here writes to disk."""
