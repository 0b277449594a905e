#!/usr/bin/env python3
"""Cohere's own client, in both of its versions, asks a running server.

    python3 tests/serve/clients.py http://127.0.0.1:7117

Needs the package cohere. Exit code 1 if an answer is not what the client expects.
"""

import sys

import cohere

QUERY = "a cup of coffee"
DOCUMENTS = ["a dog runs on a beach", "an espresso in a cup", "a red car"]


def main(address):
    clients = {kind: kind(api_key="any", base_url=address) for kind in (cohere.Client, cohere.ClientV2)}
    for client in clients.values():
        answer = client.rerank(model="any", query=QUERY, documents=DOCUMENTS, top_n=2)
        scores = [result.relevance_score for result in answer.results]
        assert answer.results[0].index == 1, answer
        assert len(scores) == 2 and 1 >= scores[0] > scores[1] >= 0, answer
        try:
            client.rerank(model="any", query=QUERY, documents=[])
        except cohere.UnprocessableEntityError as error:
            assert "documents" in error.body["message"], error
        else:
            raise AssertionError("no documents are accepted")
    with_texts = clients[cohere.Client].rerank(model="any", query=QUERY, documents=DOCUMENTS, return_documents=True)
    assert with_texts.results[0].document.text == DOCUMENTS[1], with_texts


main(sys.argv[1])
print("cohere: ok")
