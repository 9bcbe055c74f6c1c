"""All studies together: the joined table of measures, the scorecard of the papers' claims, the activity of every network.

verdicts: claims, and how they are judged.  cards: the scorecard as a table.  activity, activity_figures: spikes of networks.
records, pictures, rulegraph: what else a run tells.  html: its two pages.  published, markdown, marks: docs/results, pages.
"""
