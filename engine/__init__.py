"""The pure core: what a change means, and what has to be written because of it. No driver, clock, randomness, logging.

One change, on its way through:

    a log ─ports.Source→ Transaction (`vocabulary`), whole and in commit order
          ─runner→ one round of the deciding thread; the only place that waits, retries or has threads
          ─crossing→ rows of several tables put together, keys and codes translated: for records whose systems have
                     keys of their own (`assembly`, `conditions` say what belongs)
          ─decide, desk→ the records that it touches, from a bounded cache over the store
          ─merge→ successor, agreement, conflict or overruled; pure; `resolve` asks the policy, `record` is the state
          ─ports.Store→ one durable `Delta`: records, journal, positions. From here on nothing can be lost,
                        and the source may forget
          ─plan→ guarded, set-based writes of what is due: parents before children
          ─ports.Target→ one transaction: ledger, writes, separator
          ─desk.answers→ the watermark moves; what did not match waits for its log, or is read again

`rulebook` is the rules as the engine asks them; `first_merge` makes one base of full systems (`first_pairing` says
which rows are the same record, `first_agreement` what they agree on, `first_alike` does so quickly where all are the
same, `first_report` keeps what a person is to look at), `audit` compares them (`standing` says what is where; both
stand on `gathering`). `foretelling` says what would be written, `unread` what nobody has read yet, `shadowing` what
other rules would decide. `sameness`, `lists` and `days` know values;
`catalog` is what a database says of itself, `errors` everything that stops. The same way on one example, with reasons:
`docs/tour.md`. The words: `docs/vocabulary.md`.
"""
