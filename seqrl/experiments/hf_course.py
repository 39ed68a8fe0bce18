"""The exercise of Hugging Face's deep RL course: train a half-cheetah Decision Transformer, look.

The course's unit (huggingface.co/deep-rl-course/unitbonus3/decision-transformers) sends its readers
to the blog post "Train your first Decision Transformer" (huggingface.co/blog, train-decision-
transformers) and that to its notebook, notebooks/101_train-decision-transformers.ipynb in
github.com/huggingface/blog (read as at 0fcdfa5; the post as at 70a2b4d). Every number below says
where it is from: [notebook], [post], [config] (the defaults of `DecisionTransformerConfig` in
`transformers`) or [trainer] (those of its `TrainingArguments` and `Trainer`).

What differs, and why:

- The data. The exercise takes halfcheetah-expert-v2 of edbeeching/decision_transformer_gym_replay,
  "a subset" of D4RL. No expert set is embedded, so the task here is halfcheetah-medium, which needs
  no network. With D4RL's own file, found or fetched:
  `seqrl run DT d4rl/halfcheetah-expert-v2 --experiment hf_course`.
- The target. The notebook asks for 12,000, a little more than the expert's best (11,252). So does
  this on an expert set; on others it asks for the best return in the data, as 12,000 is more than
  twice what the medium policy ever reached.
- The budget is the notebook's, 120 epochs ("about an hour" on Colab). That text of the post says
  40, which are 640 updates: `--set training.updates=640`.
- The last batch of each of its epochs has 40 windows, here all have 64; and its windows are drawn
  with Python's and numpy's global chance, here from the run's seed.
- Its warm-up begins with a rate of zero, ours with the rate of its second update.
- Weight decay spares the table of episode steps, theirs does not. (Both spare biases and
  LayerNorms.) `transformers` adds one learnt vector to all tokens that is not here.
- One episode of HalfCheetah-v3 is looked at there, ten of HalfCheetah-v4 are played here.

And what differs between the Decision Transformer's page and its authors' code stands there:
seqrl/agents/decision_transformer.py. "BC" is ours: the same network and training, with nothing to
ask for. If DT is no better, asking did not help: on seqrl/halfcheetah-medium-v1, whose own mean is
40.5, DT scored 42.0 and BC 42.6, after five and four minutes of processor time.

Good for: following the course without a GPU, and with more to look at. Not good for: the published
numbers; `paper` trains fifty times as long.

To train it and look at it (CHECKPOINT is what the first command names at its end):

    seqrl run DT halfcheetah-medium --experiment hf_course
    seqrl play CHECKPOINT --video cheetah.mp4
    seqrl targets CHECKPOINT
    seqrl attention CHECKPOINT
"""

from seqrl.agents.behaviour_cloning import BehaviourCloning
from seqrl.agents.decision_transformer import DecisionTransformer
from seqrl.evaluation import Evaluation
from seqrl.nets.network import Network
from seqrl.runs.experiment import Experiment, when
from seqrl.training.settings import Training

EPISODES = 1_000  # rows, which `Trainer` counts as examples; their number is that of D4RL's file
EPOCHS = 120  # num_train_epochs [notebook, step 6]
BATCH = 64  # per_device_train_batch_size [notebook, post]
UPDATES_AN_EPOCH = -(-EPISODES // BATCH)  # 16: what does not fill a batch is one more [trainer]

NETWORK = Network(
    layers=3,  # n_layer [config]
    heads=1,  # n_head [config]
    width=128,  # hidden_size [config]
    dropout=0.1,  # resid_pdrop, embd_pdrop, attn_pdrop [config]
    activation="relu",  # activation_function [config]
    normalise_embeddings=True,  # embed_ln of DecisionTransformerModel
    init="gpt2",  # initializer_range 0.02, c_proj divided by sqrt(2 n_layer) [config]
)
TRAINING = Training(
    updates=EPOCHS * UPDATES_AN_EPOCH,  # 1,920
    batch=BATCH,
    learning_rate=1e-4,  # [notebook, post]
    warmup=0.1,  # warmup_ratio [notebook, post]
    decay="linear",  # lr_scheduler_type [trainer]
    weight_decay=1e-4,  # [notebook, post]
    decay_on="matrices",  # Trainer.create_optimizer [trainer]
    betas=(0.9, 0.999),  # adam_beta1, adam_beta2 [trainer]
    clip=0.25,  # max_grad_norm [notebook, post]
    precision="float32",  # neither fp16 nor bf16 [trainer]
)

EXPERIMENT = Experiment(
    about=__doc__,
    tasks=["halfcheetah-medium"],
    agents={
        "DT": DecisionTransformer(
            context_steps=20,  # max_len [notebook, post]
            return_scale=1000.0,  # scale [notebook, post]
            network=NETWORK,
            training=TRAINING,
        ),
        "BC": BehaviourCloning(context_steps=20, network=NETWORK, training=TRAINING),
    },
    seeds=[0],
    evaluation=Evaluation(episodes=10),
    # TARGET_RETURN [notebook, step 7]
    overrides=[when("DT", "halfcheetah-expert", target=12_000.0)],
)
