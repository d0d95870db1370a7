"""The entry point of the console script and of `python -m deepcheck`."""


def main() -> None:
    """Run the command line; exits with the codes of `deepcheck.cli.app`."""
    from deepcheck.cli.app import app

    app()


if __name__ == "__main__":
    main()
