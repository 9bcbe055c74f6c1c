"""What of a session file is used, where the file itself leaves a choice: part of the config of a study."""

from dataclasses import dataclass, field

ENDINGS = (".nwb", ".npz")  # of session files


@dataclass(frozen=True)
class Choice:
    """What of a session file is used. An empty text takes the only one there is."""

    trials: str = ""  # table of intervals whose rows are the trials
    only: dict[str, str] = field(default_factory=dict)  # rows of it with these values in these columns
    movie: str = ""  # image series that every trial shows, or the path of a .npy or .mat file
    units: dict[str, str] = field(default_factory=dict)  # units with these values in these columns
    seconds: float = 0.0  # of each trial, from its start; 0: as long as the movie and the shortest trial
