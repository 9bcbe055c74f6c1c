"""One whisker sweep in MuJoCo: an object moves through the array, forces and torques at the whiskers' bases come out.

A stand-in for the published Bullet simulation: the same geometry, trajectories and layout, chains of two to nine
stiff links with one taper law instead of fitted springs. Units of force and torque are arbitrary, as in the original.
"""

import mujoco
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from respike.barrel import params
from respike.barrel.sweeps.objects import Object
from respike.barrel.sweeps.whiskers import UNIT_LENGTH, Whisker, links, whiskers
from respike.core import seeds

STIFFNESS, DAMPING = 7000.0, 0.02  # of the joint k of n: STIFFNESS (n - k)^2 / link length; damping is a share of it
LINK_RADIUS = 0.3  # mm
FORCE_GAIN = 3.3  # brings forces in contact to the published range
PRE_STRESS = {"force": (2.91, 1.48), "torque": (1.64, 1.11)}  # mean and sd of ln(modulus) without touch
PRE_STRESS_SEED = 515  # one array of whiskers, whatever the seed of the run
LARGEST_ANGLE, HALVINGS = np.pi, 3  # rad, of a joint; how often an unstable sweep is tried again with half the step
GEOMS = {kind: getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}") for kind in ("capsule", "box", "ellipsoid", "mesh")}


def n_links(whisker: Whisker) -> int:
    """Links of a whisker in our simulation, a third of the published number but three where there are three."""
    return max(min(params.UNITS, whisker.n_units), int(np.ceil(whisker.n_units / 3)))


def _pose(position, rotation: Rotation) -> dict[str, np.ndarray]:
    return {"pos": np.asarray(position), "quat": rotation.as_quat(scalar_first=True)}


def _add_whisker(spec: mujoco.MjSpec, whisker: Whisker) -> None:
    """A chain of bodies, one per link, each with two hinges across the link."""
    n = n_links(whisker)
    length = UNIT_LENGTH * whisker.n_units / n
    across, along = np.diff(links(whisker, length, n), axis=0).T
    body = spec.worldbody
    for k, bend in enumerate(np.diff(np.arctan2(-across, along), prepend=0)):
        turn = Rotation.from_euler("x", bend)
        body = body.add_body(**(_pose((0, 0, length), turn) if k else _pose(whisker.base, whisker.rotation * turn)))
        stiffness = STIFFNESS * (n - k) ** 2 / length
        for axis in ((1, 0, 0), (0, 1, 0)):
            body.add_joint(axis=axis, stiffness=stiffness, damping=DAMPING * stiffness)
        ends, size = (0, 0, 0, 0, 0, length), (LINK_RADIUS, 0, 0)
        body.add_geom(type=GEOMS["capsule"], fromto=ends, size=size, mass=whisker.n_units / n, contype=1, conaffinity=0)
        if k < params.UNITS:
            body.add_site(name=f"{whisker.name}_{k}")


def _add_object(spec: mujoco.MjSpec, thing: Object) -> None:
    """A frame in the world's axes that slides, and the object fixed in it."""
    slide = spec.worldbody.add_body(mass=1e6, inertia=(1e6, 1e6, 1e6), explicitinertial=True)
    for axis in np.eye(3):
        slide.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    body = slide.add_body(**_pose(thing.position, thing.rotation))
    for k, part in enumerate(thing.shape):
        geom = body.add_geom(**_pose(part.position, part.rotation), contype=0, conaffinity=1, mass=1)
        geom.type, geom.size = GEOMS[part.kind], np.ptp(part.vertices, axis=0) / 2
        if part.kind == "mesh":
            geom.meshname = spec.add_mesh(name=f"part{k}", uservert=part.vertices.ravel()).name


def build(thing: Object, time_step: float) -> mujoco.MjModel:
    """MuJoCo model of the whisker array and one object."""
    spec = mujoco.MjSpec()
    spec.memory, spec.default.geom.friction[0] = 20 << 20, 0.5
    option = spec.option
    option.timestep, option.gravity, option.iterations, option.tolerance = time_step, (0, 0, 0), 20, 1e-6
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    for whisker in whiskers():
        _add_whisker(spec, whisker)
    for kind in (mujoco.mjtSensor.mjSENS_FORCE, mujoco.mjtSensor.mjSENS_TORQUE):
        for site in spec.sites:
            spec.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site.name)
    _add_object(spec, thing)
    return spec.compile()


def simulate(thing: Object, time_step: float) -> Float[np.ndarray, "kind frame 31 3 3"]:
    """Force and torque in the world's axes at the first three links of each whisker, 110 frames at 10 Hz, float32.

    A sweep in which a whisker is flung around is simulated again with a smaller step.
    """
    mujoco.set_mju_user_warning(lambda message: None)  # else each becomes a line in a file in the current folder
    tries = [time_step / 2**k for k in range(HALVINGS + 1)]
    frames = next((readings for step in tries if (readings := _frames(thing, step)) is not None), None)
    if frames is None:
        raise ValueError(
            f"a sweep is unstable even with steps of {tries[-1]:.5f} s; lower barrel.sweeps.time_step (now {time_step:.5f})"
        )
    readings = np.zeros((2, params.FRAMES, params.WHISKERS, params.UNITS, 3))
    readings[:, :, _present()] = frames
    readings[0] *= FORCE_GAIN
    return (readings + np.stack([_pre_stress(kind) for kind in PRE_STRESS])[:, None]).astype(np.float32)


def _frames(thing: Object, time_step: float) -> Float[np.ndarray, "kind frame site 3"] | None:
    """Readings of the sensors in the world's axes; None when the simulation became unstable."""
    model = build(thing, time_step)
    data = mujoco.MjData(model)
    every, n_sites = round(1 / (params.FRAME_RATE * time_step)), model.nsite
    frames = np.empty((2, params.FRAMES, n_sites, 3))
    slides = slice(model.nv - 3, model.nv)  # the object stands last in the model
    for frame in range(params.FRAMES):
        for _ in range(every):
            data.qvel[slides] = thing.velocity
            mujoco.mj_step(model, data)
        if data.warning.number.any() or np.abs(data.qpos[:-3]).max() > LARGEST_ANGLE:
            return None
        local = data.sensordata.reshape(2, n_sites, 3)
        frames[:, frame] = np.einsum("sij,ksj->ksi", data.site_xmat.reshape(n_sites, 3, 3), local)
    return frames


def _present() -> np.ndarray:
    """Which of the three links each whisker has: C6 has two."""
    return np.array([[k < n_links(whisker) for k in range(params.UNITS)] for whisker in whiskers()])


def _pre_stress(kind: str) -> Float[np.ndarray, "31 3 3"]:
    """Constant that each channel shows without touch: random direction, log-normal modulus."""
    rng = seeds.generator(PRE_STRESS_SEED, "barrel", "pre-stress", kind)
    direction = rng.standard_normal((params.WHISKERS, params.UNITS, 3))
    mean, deviation = PRE_STRESS[kind]
    modulus = np.exp(rng.normal(mean, deviation, (params.WHISKERS, params.UNITS, 1))) * _present()[..., None]
    return modulus * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
