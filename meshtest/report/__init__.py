"""What a run leaves behind: the journal (JSON), one HTML page, Allure results, a few lines in the terminal.

history, checks ──► Result (plain JSON) ──► journal ──► index.html
                                        └─► Allure, terminal
"""
