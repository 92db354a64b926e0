// enterprise/ledger
