from k2repro.cli import main

main()
