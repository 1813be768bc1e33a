from arms_for_tests import made, marked

__all__ = ["made", "marked"]
