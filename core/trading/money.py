"""The arithmetic of money: exact, or it raises.

Decimal's default context rounds silently at 28 digits. Books are kept under `EXACT`, where a sum or
a product that does not fit raises Inexact instead.
"""

from decimal import Context, DivisionByZero, Inexact, InvalidOperation, Overflow

EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
