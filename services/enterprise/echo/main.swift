// enterprise/echo
