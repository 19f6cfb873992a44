"""New rules tried on what users do, beside those in force: two desks that start each transaction from one state.

`following` is the desk under the rules in force, whose writes are known done when a log echoes them; `trial` the one
under the new rules, whose decisions are thrown away; `comparing` says where they differ. Pure, and nothing is sent to
any system by either of them.
"""
