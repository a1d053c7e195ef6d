"""The command `fastnet completion`: what makes a shell complete commands and options of `fastnet`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from fastnet.cli.parser import Parser

__all__ = ["add_command", "script"]

_WHERE = """\
  bash  echo 'eval "$(fastnet completion bash)"' >> ~/.bashrc
  zsh   echo 'eval "$(fastnet completion zsh)"' >> ~/.zshrc      (after compinit)
  fish  fastnet completion fish > ~/.config/fish/completions/fastnet.fish
"""


def add_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `completion` to the commands of a parser, which are those that are completed."""
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete the command",
        description="Print a script for a shell. To use it always:\n\n" + _WHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))

    def run(arguments: argparse.Namespace) -> int:
        print(
            script(arguments.shell, {name: parser.options for name, parser in commands.choices.items()}),
            end="",
        )
        return 0

    completion.set_defaults(run=run)


def script(shell: str, commands: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Return the script of a shell, given the options of each command and the values of each option.

    Examples
    --------
    >>> print(script("fish", {"train": {"--task": ["a", "b"]}}), end="")
    complete -c fastnet -n __fish_use_subcommand -f -a train
    complete -c fastnet -n '__fish_seen_subcommand_from train' -l task -x -a 'a b'
    """
    if shell == "fish":
        return "".join(_fish(commands))
    bash = "".join(_bash(commands))
    return bash if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{bash}"


def _bash(commands: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    lines = [
        "_fastnet() {\n",
        '    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""\n',
        '    if [ "$COMP_CWORD" -eq 1 ]; then\n',
        f'        words="{" ".join(commands)} --help --version"\n',
        "    else\n",
        '        case "${COMP_WORDS[1]} $before" in\n',
    ]
    for name, options in commands.items():
        for option, values in options.items():
            if values:
                lines.append(f'            "{name} {option}") words="{" ".join(values)}" ;;\n')
    lines.append('            *) case "${COMP_WORDS[1]}" in\n')
    for name, options in commands.items():
        words = "bash zsh fish" if name == "completion" else " ".join(options)
        lines.append(
            f'                {name}) [[ "$current" == -* || {name} == completion ]] && words="{words}" ;;\n'
        )
    lines += ["            esac ;;\n", "        esac\n", "    fi\n"]
    lines += ['    COMPREPLY=($(compgen -W "$words" -- "$current"))\n', "}\n"]
    return [*lines, "complete -o default -F _fastnet fastnet\n"]


def _fish(commands: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    lines = [f"complete -c fastnet -n __fish_use_subcommand -f -a {name}\n" for name in commands]
    for name, options in commands.items():
        for option, values in options.items():
            flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            choice = f" -x -a '{' '.join(values)}'" if values else ""
            lines.append(f"complete -c fastnet -n '__fish_seen_subcommand_from {name}' {flag}{choice}\n")
    if "completion" in commands:
        lines.append(
            "complete -c fastnet -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n"
        )
    return lines
