"""The rule language: YAML that says which fields of which tables are one and the same, to the engine's `RuleBook`.

A rule file on its way:

    bytes ─located→ (`folder`: of several files) a tree whose every key and value knows its line and column
          ─shape→ the models of `syntax`, short forms made long
          ─check, assembly→ names that exist, nothing said twice, nothing left open
          ─addresses, secrets→ `${NAME}` resolved; no secret is ever shown
          = `load`: a `RuleFile`
          ─values→ one canonical form for each field, named pairs there and back, and what is lost on the way
          ─assembly→ records of several tables, put together and taken apart
          ─expressions→ SQL of the rules as functions that give what PostgreSQL gives
          = `compile_book`: a `RuleBook`
          ─trials→ the tests inside the file, carried out by the engine's own merge

Every step adds `problem`s to one list: all at once, each with its place, what was found, what is allowed and the mend.
`ruling` says what the short words amount to; `codes` lists every code; `schema` makes the editor's JSON Schema.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> text = '''
... duolog: 1
... systems: {erp: {adapter: postgresql, url: "${ERP_URL}"}, crm: {adapter: postgresql, url: "${CRM_URL}"}}
... entities:
...   customer:
...     identity: [no]
...     conflict: last_writer
...     bind: {erp: {table: customer}, crm: {table: sales.account}}
...     fields: {no: {erp: id, crm: account_no}, city: city}
... '''
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "erp_crm.yaml")
...     _ = path.write_text(text)
...     loaded = load(path, {"ERP_URL": "postgresql://a:pw@erp/app", "CRM_URL": "postgresql://b:pw@crm/app"})
>>> loaded.problems
[]
>>> loaded.rules.systems["erp"].url
Secret('***')
>>> book, problems = compile_book(loaded.rules, None)
>>> book.tables["crm"]
(Table(schema='sales', name='account', columns=('account_no', 'city'), key=(0,), whole=False, written=()),)
"""

from rules.compile import compile_book
from rules.known import Known, find_systems
from rules.load import Loaded, RuleFile, System, find_store, load
from rules.problem import Place, Problem, printed
from rules.secrets import Secret

__all__ = [
    "Known", "Loaded", "Place", "Problem", "RuleFile", "Secret", "System", "compile_book", "find_store",
    "find_systems", "load", "printed",
]  # fmt: skip
