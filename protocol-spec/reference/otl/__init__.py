# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reference implementation of OTL v1, written from the text of ``protocol-spec/otl`` alone."""
